"""Answers API requests: predict, classify, regress, status and metadata."""

import asyncio
import concurrent.futures
import functools
import time
from collections.abc import Callable
from typing import Any, TypeVar

from aiohttp import web
from tensorflow_serving.apis import input_pb2

from dqn_tf.serving.errors import ServingError, invalid_argument
from dqn_tf.serving.http import json_examples, json_reader, json_tensors, json_writer, routes
from dqn_tf.serving.http.body import read_body
from dqn_tf.serving.http.places import Place
from dqn_tf.serving.http.routes import Route
from dqn_tf.serving.models import classify_regress, status
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.models.signature import Arrays, Signature
from dqn_tf.serving.options import Options

SMALL_BODY = 64 << 10  # bytes; a larger body is parsed in a thread

Result = TypeVar("Result")


class ApiHandlers:
    """The handlers. `request["place"]` is the request's place among those at work."""

    def __init__(self, runner: SignatureRunner, options: Options) -> None:
        self.runner = runner
        self.options = options
        self._threads = concurrent.futures.ThreadPoolExecutor(options.rest_api_num_threads, "rest")

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request. Raises ServingError, BodyTooLarge, and what a model raises."""
        deadline = time.monotonic() + self.options.rest_api_timeout_in_ms / 1000
        route = routes.parse(request.method, request.raw_path)
        request["route"] = route
        if route.verb == "status":
            body = status.status(self.runner.manager.status(route.name, route.version))
        elif route.verb == "metadata":
            with self._hold(route) as handle:
                body = status.metadata(handle.model)
        else:
            content = await read_body(request, self.options.max_request_bytes)
            body = await self._call(route, content, deadline, request["place"])
        return web.Response(body=body, content_type="application/json")

    async def _call(self, route: Route, content: bytes, deadline: float, place: Place) -> bytes:
        is_small = len(content) <= SMALL_BODY
        read = functools.partial(json_reader.read, content, self.options.max_json_depth)
        document = read() if is_small else await self._in_thread(read, place)
        signature_name = _signature_name(document)
        examples = json_examples.read_input(document) if route.verb != "predict" else None
        with self._hold(route) as handle:
            signature = _signature(handle, signature_name)
            if examples is not None:
                infer = functools.partial(
                    self._infer, handle.duplicate(), route.verb, signature, examples, deadline
                )
                return await self._in_thread(infer, place)
            if handle.batcher is not None:
                return await self._predict_in_batch(handle, signature, document, deadline)
            predict = functools.partial(
                self._predict, handle.duplicate(), signature, document, deadline
            )
            if is_small and signature.is_fast:
                return predict()
            return await self._in_thread(predict, place)

    def _hold(self, route: Route) -> VersionHandle:
        return self.runner.manager.hold(route.name, route.version, route.label)

    def _predict(
        self,
        handle: VersionHandle,
        signature: Signature,
        document: dict[str, Any],
        deadline: float,
    ) -> bytes:
        with handle:
            inputs, is_rows = json_tensors.read_inputs(document, signature)
            outputs = self.runner.run(handle, signature, inputs, deadline=deadline)
            reply = json_writer.prediction(outputs, is_rows)
            self.runner.observe(handle, signature, inputs, outputs)
            return reply

    async def _predict_in_batch(
        self,
        handle: VersionHandle,
        signature: Signature,
        document: dict[str, Any],
        deadline: float,
    ) -> bytes:
        inputs, is_rows = json_tensors.read_inputs(document, signature)
        future = self.runner.submit(handle, signature, inputs, None, deadline)
        outputs = await _result(future)
        reply = json_writer.prediction(outputs, is_rows)
        self.runner.observe(handle, signature, inputs, outputs)
        return reply

    def _infer(
        self,
        handle: VersionHandle,
        verb: str,
        signature: Signature,
        examples: input_pb2.Input,
        deadline: float,
    ) -> bytes:
        def run(signature: Signature, inputs: Arrays, outputs: tuple[str, ...]) -> Arrays:
            return self.runner.run(handle, signature, inputs, outputs, deadline)

        with handle:
            serialized = classify_regress.serialized_examples(examples)
            check_method = self.options.enable_signature_method_name_check
            if verb == "classify":
                classes = classify_regress.classify(run, signature, serialized, check_method)
                return json_examples.classifications(classes)
            numbers = classify_regress.regress(run, signature, serialized, check_method)
            return json_examples.regressions(numbers)

    async def _in_thread(self, work: Callable[[], Result], place: Place) -> Result:
        """Run `work` in a thread. The place is kept until it ends, even after a timeout."""
        place.keep()
        loop = asyncio.get_running_loop()
        future = self._threads.submit(work)
        future.add_done_callback(lambda _: loop.call_soon_threadsafe(place.release))
        return await _result(future)


async def _result(future: "concurrent.futures.Future[Result]") -> Result:
    """Wait for the future. It goes on if the request is given up; its exception is lost then."""
    waiting = asyncio.wrap_future(future)
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(waiting)


def _signature_name(document: dict[str, Any]) -> str:
    name = document.get("signature_name", "")
    if not isinstance(name, str):
        raise invalid_argument(
            "JSON Value: not formatted correctly. 'signature_name' key must be a string value."
        )
    return name


def _signature(handle: VersionHandle, name: str) -> Signature:
    try:
        return handle.model.signature(name)
    except ServingError as error:
        raise invalid_argument(error.message) from None
