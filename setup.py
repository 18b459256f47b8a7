"""Name, bounds and extras of dqn_tf. Build system and tool settings are in pyproject.toml."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = re.search(
    r'__version__ = "([^"]+)"', (HERE / "dqn_tf" / "__init__.py").read_text(encoding="utf-8")
).group(1)

# tf-agents 0.19 pins old versions, so it is never a base requirement; there is none for Python
# 3.12. tf-keras is the Keras 2 it needs. Beside its typing-extensions there is no room for newer
# ones of the others, and pip would try them one by one.
TF_AGENTS = [
    'tf-agents>=0.19,<0.20; python_version < "3.12"',
    'tf-keras>=2.18; python_version < "3.12"',
    'grpcio<1.75; python_version < "3.12"',
]
BESIDE_TF_AGENTS = [
    'grpcio-health-checking<1.75; python_version < "3.12"',
    'onnx<1.18; python_version < "3.12"',
]
# --language_model: files of pretrained language models, and their tokens
LANGUAGE = ["gguf>=0.17,<1", "ml_dtypes>=0.5,<1", "safetensors>=0.6,<1", "tokenizers>=0.21,<1"]
# minari:ID, logged data; earlier versions store pictures as JPEG, with losses
MINARI = ["minari[hdf5]>=0.5.4,<0.6"]
ONNX = ["onnx>=1.17", "onnxruntime>=1.19"]

# The server. tensorflow-serving-api needs tensorflow, which is here already, and wants it at least
# as new as itself: pip picks the one that fits.
SERVING = [
    "aiohttp>=3.9",
    "grpcio>=1.62",
    "grpcio-health-checking>=1.62",
    "orjson>=3.9",
    "protobuf>=5.26",
    "tensorflow-serving-api>=2.18,<3",
]

setup(
    name="dqn_tf",
    version=VERSION,
    description=(
        "The reference implementation of DQN in TensorFlow/Keras: trained, resumed, evaluated and"
        " exported for TF Serving."
    ),
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    author="The dqn_tf developers",
    keywords=["reinforcement learning", "deep Q-network", "DQN", "TensorFlow", "Keras"],
    license="Apache-2.0",
    license_files=["LICENSE"],
    packages=find_packages(include=["dqn_tf", "dqn_tf.*"]),
    package_data={
        "dqn_tf": ["py.typed"],
        "dqn_tf.envs.applications": ["data/*"],
        "dqn_tf.envs.text": ["data/*"],
        "dqn_tf.serving.demo": ["page/*"],
    },
    entry_points={
        "console_scripts": [
            "dqn-train=dqn_tf.training.__main__:command",
            "dqn-evaluate=dqn_tf.evaluation.__main__:command",
            "dqn-export=dqn_tf.export.__main__:command",
            "dqn-serve=dqn_tf.serving.__main__:command",
            "dqn-doctor=dqn_tf.doctor.__main__:command",
            "dqn-record=dqn_tf.record.__main__:command",
            "dqn-track=dqn_tf.tracking.__main__:command",
            "dqn-search=dqn_tf.search.__main__:command",
        ]
    },
    python_requires=">=3.10,<3.14",
    install_requires=[
        # never tensorflow-cpu: other packages pull in tensorflow, and two copies overwrite each
        # other
        "tensorflow>=2.18,<3",
        "gymnasium>=1.0",
        "numpy>=1.26",
        "absl-py>=2.0",
        "scipy>=1.15",  # IQM and bootstrap
        "matplotlib>=3.8",
        "tensorboard>=2.18",
        "threadpoolctl>=3.1",
        "tqdm>=4.60",
        "pillow>=10.0",
    ],
    extras_require={
        "atari": ["ale-py>=0.12"],  # ALE/...; the ROMs are in its wheel
        # Peers for `python -m benchmarks.speed`; TF-Agents is the extra below. sbx needs TensorFlow
        # Probability, which beside TensorFlow needs tf-keras. PyTorch alone is enough from its CPU
        # builds: pip install torch --index-url https://download.pytorch.org/whl/cpu
        "bench": ["stable-baselines3>=2.7", "sbx-rl>=0.20", "tf-keras>=2.18"],
        "box2d": ["gymnasium[box2d]"],  # LunarLander-v3
        # --workers: never ray[...], whose extras pin what others need newer
        "distributed": ["ray>=2.56.1,<3"],
        "docs": [
            "sphinx>=8.0",
            "myst-parser>=4.0",
            "furo>=2024.8.6",
            "sphinx-autodoc2>=0.5",
            "sphinxcontrib-mermaid>=1.0",
        ],
        "language": LANGUAGE,
        # Not in "test": mypy wants a newer typing-extensions than tf-agents allows. Another minor
        # version of ruff may format otherwise.
        "lint": ["ruff>=0.17,<0.18", "mypy>=2.3,<3"],
        "minari": MINARI,
        "minatar": ["minatar>=1.0.15"],
        # For `python -m dqn_tf.export --formats=savedmodel,onnx`. From 1.18 on onnx wants a newer
        # typing-extensions than tf-agents allows.
        "onnx": ONNX,
        # one more peer of `python -m benchmarks.speed`, best in an environment of its own
        "rejax": ["rejax>=0.1", "gymnax<1"],
        "search": ["optuna>=4.5,<6"],
        # Without ray and optuna, whose tests are skipped then: beside tf-agents' pins pip would try
        # one version of TensorFlow after the other. Installed afterwards they fit.
        # tensorflow-serving-api's messages are what ours are compared with. opencv for Gymnasium's
        # preprocessing, which ale-py's is compared with
        "test": [
            "ale-py>=0.12",
            "minatar>=1.0.15",
            "opencv-python-headless>=4.8",
            "pytest>=8.0",
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "pygame>=2.1.3",
            *LANGUAGE,
            *MINARI,
            *ONNX,
            *SERVING,
            *TF_AGENTS,
            *BESIDE_TF_AGENTS,
        ],
        "serving": SERVING,
        "tf-agents": TF_AGENTS,
        # dqn-track. Not in "test": trackio and wandb want newer typing-extensions than tf-agents
        # allows. mlflow itself would bring pyarrow; its SQLite store needs sqlalchemy and alembic.
        "tracking": [
            "mlflow-skinny>=3.13",
            "sqlalchemy>=2.0",
            "alembic>=1.13",
            "trackio>=0.40",
            "wandb>=0.25",
        ],
        "video": ["imageio>=2.30", "imageio-ffmpeg>=0.5", "pygame>=2.1.3"],
    },
    classifiers=[
        "Intended Audience :: Science/Research",
        "Topic :: Scientific/Engineering :: Artificial Intelligence",
        "Typing :: Typed",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
