"""CORS: OPTIONS requests and the headers by which pages of other origins may call the API."""

from aiohttp import web

from dqn_tf.serving.http.middleware import Handler

HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "POST, GET",
    "Access-Control-Allow-Headers": "Content-Type",
}


def with_cors(handler: Handler, is_enabled: bool) -> Handler:
    """Answer OPTIONS; add the headers to every reply if CORS is enabled."""

    async def handle(request: web.BaseRequest) -> web.Response:
        if request.method == "OPTIONS":
            is_origin = request.headers.get("Origin", "").startswith(("http://", "https://"))
            response = web.Response(status=200 if is_origin else 400)
        else:
            response = await handler(request)
        if is_enabled:
            response.headers.update(HEADERS)
        return response

    return handle
