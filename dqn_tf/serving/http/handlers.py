"""Answers API requests: predict, classify, regress, status and metadata.

The event loop does only what takes a bounded time: it parses and converts bodies of a few
kilobytes, and runs models that are known to be fast. Threads do the rest.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

import numpy as np
from aiohttp import web

from dqn_tf.serving.errors import ServingError, check_deadline, invalid_argument
from dqn_tf.serving.http import json_examples, json_reader, json_writer, lanes, routes
from dqn_tf.serving.http.body import Body, IncomingBodies
from dqn_tf.serving.http.documents import Document, SmallDocument, read_document
from dqn_tf.serving.http.routes import Route
from dqn_tf.serving.models import classify_regress, status
from dqn_tf.serving.models.runner import SignatureRunner
from dqn_tf.serving.models.served_model import VersionHandle
from dqn_tf.serving.models.signature import Arrays, Signature, count_bytes
from dqn_tf.serving.options import Options
from dqn_tf.serving.workload import HEAVY_BYTES, Claim, Workload

# output elements of which the event loop writes the reply
FEW_ELEMENTS = 1024
# by which a logged request is found again; over gRPC it is the field client_id
ID_HEADER = "X-Request-Id"

Result = TypeVar("Result")


class ApiHandlers:
    """The handlers. `request["claim"]` counts the bytes that a request holds."""

    def __init__(self, runner: SignatureRunner, options: Options, workload: Workload) -> None:
        self.runner = runner
        self.options = options
        self.workload = workload
        self.lanes = lanes.make(options.rest_api_num_threads, options.max_concurrent_requests)
        self._incoming = IncomingBodies()

    async def handle(self, request: web.BaseRequest) -> web.Response:
        """Answer one request. Raises ServingError, BodyTooLarge, and what a model raises."""
        deadline = time.monotonic() + self.options.rest_api_timeout_in_ms / 1000
        route = routes.parse(request.method, request["path"])
        request["route"] = route
        if route.verb == "status":
            reply = status.status(self.runner.manager.status(route.name, route.version))
        elif route.verb == "metadata":
            with self._hold(route) as handle:
                reply = status.metadata(handle.model)
        else:
            claim: Claim = request["claim"]
            limit = self.options.max_request_bytes
            body = await self._incoming.receive(request, limit, claim)
            reply = await _Call(self, route, deadline, claim, _request_id(request)).answer(body)
            claim.set(len(reply))  # the body is not needed any more
        return web.Response(body=reply, content_type="application/json")

    def _hold(self, route: Route) -> VersionHandle:
        return self.runner.manager.hold(route.name, route.version, route.label)


class _Call:
    """One predict, classify or regress request."""

    def __init__(
        self,
        handlers: ApiHandlers,
        route: Route,
        deadline: float,
        claim: Claim,
        request_id: bytes,
    ) -> None:
        self._runner = handlers.runner
        self._options = handlers.options
        self._workload = handlers.workload
        self._lanes = handlers.lanes
        self._route = route
        self._deadline = deadline
        self._claim = claim
        self._id = request_id
        self._size = 0

    async def answer(self, body: Body) -> bytes:
        """Return the reply."""
        self._size = len(body.received)
        is_small = self._size <= HEAVY_BYTES and not body.is_gzip
        document = await self._read(body, is_small)
        signature_name = document.signature_name()
        serialized = None
        if self._route.verb != "predict":
            serialized = await self._in_thread(lambda: self._examples(document))
        try:
            handle = self._runner.manager.hold(
                self._route.name, self._route.version, self._route.label
            )
        except ServingError:
            # that there is no such model comes after what is wrong with the syntax
            if not isinstance(document, SmallDocument):
                await self._in_thread(document.check)
            raise
        with handle:
            signature = _signature(handle, signature_name)
            if serialized is not None:
                return await self._infer(handle, signature, serialized)
            if is_small and isinstance(document, SmallDocument):
                return await self._predict_small(handle, signature, document)
            return await self._predict(handle, signature, document)

    async def _predict_small(
        self, handle: VersionHandle, signature: Signature, document: Document
    ) -> bytes:
        """Predict from a small body: converted here, and run here if that is known to be fast."""
        inputs, is_rows = document.inputs(signature, self._options.max_request_rows)
        if handle.batcher is not None:
            outputs = await self._in_batch(handle, signature, inputs)
        elif signature.is_fast(inputs):
            outputs = self._runner.run(handle, signature, inputs, deadline=self._deadline)
        else:
            outputs = await self._in_thread_with(
                handle, signature, lambda held: self._run(held, signature, inputs)
            )
        if _is_short(outputs):
            reply = self._write(outputs, is_rows)
        else:
            reply = await self._in_thread(lambda: self._write(outputs, is_rows))
        self._runner.observe(handle, signature, inputs, outputs, self._id)
        return reply

    async def _predict(
        self, handle: VersionHandle, signature: Signature, document: Document
    ) -> bytes:
        """Predict in threads."""
        if handle.batcher is None:
            return await self._in_thread_with(
                handle, signature, lambda held: self._predict_whole(held, signature, document)
            )
        inputs, is_rows = await self._in_thread(lambda: self._convert(signature, document))
        outputs = await self._in_batch(handle, signature, inputs)
        reply = await self._in_thread(lambda: self._write(outputs, is_rows))
        self._runner.observe(handle, signature, inputs, outputs, self._id)
        return reply

    def _predict_whole(
        self, handle: VersionHandle, signature: Signature, document: Document
    ) -> bytes:
        inputs, is_rows = self._convert(signature, document)
        outputs = self._run(handle, signature, inputs)
        reply = self._write(outputs, is_rows)
        self._runner.observe(handle, signature, inputs, outputs, self._id)
        return reply

    async def _infer(
        self, handle: VersionHandle, signature: Signature, serialized: np.ndarray
    ) -> bytes:
        check_method = self._options.enable_signature_method_name_check

        def infer(held: VersionHandle) -> bytes:
            def run(signature: Signature, inputs: Arrays, outputs: tuple[str, ...]) -> Arrays:
                return self._runner.run(held, signature, inputs, outputs, self._deadline)

            if self._route.verb == "classify":
                classes = classify_regress.classify(run, signature, serialized, check_method)
                return json_examples.classifications(classes)
            numbers = classify_regress.regress(run, signature, serialized, check_method)
            return json_examples.regressions(numbers)

        return await self._in_thread_with(handle, signature, infer)

    async def _read(self, body: Body, is_small: bool) -> Document:
        limit = self._options.max_request_bytes
        if is_small:
            content = body.received
            members = json_reader.read_plain_body(content, self._options.max_json_depth)
            if members is not None:
                return SmallDocument(members)
        else:
            content = await self._in_thread(
                lambda: body.content(limit, self._claim, self._deadline)
            )
            self._size = len(content)
        return await self._in_thread(lambda: self._read_long(content))

    def _read_long(self, content: bytes | bytearray) -> Document:
        # reading what orjson does not read takes long, too
        with self._workload.turn(max(self._size, HEAVY_BYTES + 1), self._deadline):
            return read_document(content, self._options.max_json_depth, self._deadline)

    def _examples(self, document: Document) -> np.ndarray:
        with self._workload.turn(self._size, self._deadline):
            return document.examples()

    def _convert(self, signature: Signature, document: Document) -> tuple[Arrays, bool]:
        with self._workload.turn(self._size, self._deadline):
            return document.inputs(signature, self._options.max_request_rows)

    def _run(self, handle: VersionHandle, signature: Signature, inputs: Arrays) -> Arrays:
        return self._runner.run(handle, signature, inputs, deadline=self._deadline)

    def _write(self, outputs: Arrays, is_rows: bool) -> bytes:
        size = count_bytes(outputs)
        self._claim.add(size)
        with self._workload.turn(size, self._deadline):
            return json_writer.prediction(outputs, is_rows, self._deadline)

    async def _in_thread_with(
        self, handle: VersionHandle, signature: Signature, work: Callable[[VersionHandle], Result]
    ) -> Result:
        """Run `work`, which runs the signature, in a thread, with a hold of its own on the version.

        That outlasts the request if it is given up.
        """
        held = handle.duplicate()

        def work_in_time() -> Result:
            check_deadline(self._deadline)
            return work(held)

        def submit() -> Future[Result]:
            return self._lanes.of(self._size, signature.is_shape_bound).submit(work_in_time)

        return await self._keep_bytes(submit, held.release)

    async def _in_batch(
        self, handle: VersionHandle, signature: Signature, inputs: Arrays
    ) -> Arrays:
        """Wait for a run that is joined with others."""

        def start() -> Future[Arrays]:
            return self._runner.submit(handle, signature, inputs, None, self._deadline)

        return await self._keep_bytes(lambda: self._lanes.slow.follow(start))

    async def _in_thread(self, work: Callable[[], Result]) -> Result:
        """Run `work`, whose time the size of the request bounds, in a thread."""

        def work_in_time() -> Result:
            check_deadline(self._deadline)
            return work()

        return await self._keep_bytes(lambda: self._lanes.of(self._size).submit(work_in_time))

    async def _keep_bytes(
        self, submit: Callable[[], Future[Result]], release: Callable[[], None] = lambda: None
    ) -> Result:
        """Keep the bytes of the request until the future is done, even after a timeout."""

        def end() -> None:
            self._claim.release()
            release()

        self._claim.keep()
        try:
            future = submit()
        except BaseException:
            end()
            raise
        future.add_done_callback(lambda _: end())
        return await _result(future)


async def _result(future: Future[Result]) -> Result:
    """Wait for the future. It goes on if the request is given up; its exception is lost then."""
    waiting = asyncio.wrap_future(future)
    waiting.add_done_callback(lambda done: done.cancelled() or done.exception())
    return await asyncio.shield(waiting)


def _request_id(request: web.BaseRequest) -> bytes:
    """Return the id that the client gave the request, for the log; empty if none."""
    return request.headers.get(ID_HEADER, "").encode("utf-8", "surrogateescape")


def _is_short(outputs: Arrays) -> bool:
    """Return True if the event loop may write the reply."""
    if sum(array.size for array in outputs.values()) > FEW_ELEMENTS:
        return False
    return count_bytes(outputs) <= HEAVY_BYTES


def _signature(handle: VersionHandle, name: str) -> Signature:
    try:
        return handle.model.signature(name)
    except ServingError as error:
        raise invalid_argument(error.message) from None
