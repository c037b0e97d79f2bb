"""origins.py - Python's servers as origins of the home garden: origins.py KIND PORT LOG, where KIND is a name of SERVERS.

SPDX-License-Identifier: Apache-2.0
"""
import asyncio
import os
import sys


def seen(identity, method, target, size):
    """A line of the log, whole and at once."""
    with open(LOG, "ab", 0) as log:
        log.write(f"{identity or ''}\t{method}\t{target}\t{size}\n".encode("utf-8", "surrogateescape"))


def wsgi(environ, start_response):
    # Not every server gives the target as it came: the path is decoded then (RAW_URI is gunicorn's, REQUEST_URI others').
    target = environ.get("RAW_URI") or environ.get("REQUEST_URI") or environ["PATH_INFO"]
    body = environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
    seen(environ.get("HTTP_X_REQUEST_ID"), environ["REQUEST_METHOD"], target, len(body))
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", "2")])
    return [b"{}"]


async def asgi(scope, receive, send):
    if scope["type"] != "http":
        return
    size, more = 0, True
    while more:
        message = await receive()
        size, more = size + len(message.get("body", b"")), message.get("more_body", False)
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    seen(headers.get("x-request-id"), scope["method"], scope["raw_path"].decode("latin-1"), size)
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"application/json"), (b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"{}"})


def standard_library():
    import http.server

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def any(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            seen(self.headers.get("X-Request-Id"), self.command, self.path, len(body))
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def __getattr__(self, name):
            if name.startswith("do_"):
                return self.any
            raise AttributeError(name)

        def log_message(self, *_):
            pass

    http.server.ThreadingHTTPServer(("127.0.0.1", PORT), Handler).serve_forever()


def h11():
    import h11 as http

    async def serve(reader, writer):
        connection = http.Connection(http.SERVER)
        try:
            while True:
                request, size = None, 0
                while True:
                    event = connection.next_event()
                    if event is http.NEED_DATA:
                        connection.receive_data(await reader.read(65536))
                    elif isinstance(event, http.Request):
                        request = event
                    elif isinstance(event, http.Data):
                        size += len(event.data)
                    elif isinstance(event, http.EndOfMessage):
                        break
                    else:
                        return
                headers = {name.decode(): value.decode("latin-1") for name, value in request.headers}
                seen(headers.get("x-request-id"), request.method.decode(), request.target.decode(), size)
                for answer in (http.Response(status_code=200, headers=[("Content-Type", "application/json"), ("Content-Length", "2")]),
                               http.Data(data=b"{}"), http.EndOfMessage()):
                    writer.write(connection.send(answer))
                await writer.drain()
                if connection.our_state is not http.DONE:
                    return
                connection.start_next_cycle()
        except (http.RemoteProtocolError, OSError) as error:
            seen("", "REFUSED", str(error), 0)
        finally:
            writer.close()

    async def run():
        await (await asyncio.start_server(serve, "127.0.0.1", PORT)).serve_forever()

    asyncio.run(run())


def waitress():
    import waitress as server
    server.serve(wsgi, host="127.0.0.1", port=PORT, threads=2)


def werkzeug():
    import logging
    from werkzeug.serving import WSGIRequestHandler, run_simple
    logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
    WSGIRequestHandler.protocol_version = "HTTP/1.1"
    run_simple("127.0.0.1", PORT, wsgi, threaded=True)


def cheroot():
    from cheroot.wsgi import Server
    Server(("127.0.0.1", PORT), wsgi, numthreads=2).start()


def gunicorn():
    from gunicorn.app.base import BaseApplication

    class Application(BaseApplication):
        def load_config(self):
            for key, value in (("bind", f"127.0.0.1:{PORT}"), ("worker_class", "gthread"), ("threads", 2), ("loglevel", "critical")):
                self.cfg.set(key, value)

        def load(self):
            return wsgi

    Application().run()


def uvicorn():
    import uvicorn as server
    server.run(asgi, host="127.0.0.1", port=PORT, log_level="critical", lifespan="off", http="h11")


def tornado():
    import tornado.httpserver
    import tornado.ioloop

    def answer(request):
        seen(request.headers.get("X-Request-Id"), request.method, request.uri, len(request.body))
        request.connection.write_headers(tornado.httputil.ResponseStartLine("HTTP/1.1", 200, "OK"), tornado.httputil.HTTPHeaders(
            {"Content-Type": "application/json", "Content-Length": "2"}), b"{}")
        request.connection.finish()

    tornado.httpserver.HTTPServer(answer).listen(PORT, "127.0.0.1")
    tornado.ioloop.IOLoop.current().start()


def aiohttp():
    from aiohttp import web

    async def answer(request):
        body = await request.read()
        seen(request.headers.get("X-Request-Id"), request.method, request.raw_path, len(body))
        return web.Response(body=b"{}", content_type="application/json")

    async def run():
        runner = web.ServerRunner(web.Server(answer))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", PORT).start()
        await asyncio.Event().wait()

    asyncio.run(run())


def twisted():
    from twisted.internet import reactor
    from twisted.web import resource, server

    class Answer(resource.Resource):
        isLeaf = True

        def render(self, request):
            seen(request.getHeader("X-Request-Id"), request.method.decode(), request.uri.decode(), len(request.content.read()))
            request.setHeader("Content-Type", "application/json")
            return b"{}"

    reactor.listenTCP(PORT, server.Site(Answer()), interface="127.0.0.1")
    reactor.run()


SERVERS = {"http.server": standard_library, "h11": h11, "waitress": waitress, "werkzeug": werkzeug, "cheroot": cheroot, "gunicorn": gunicorn,
           "uvicorn": uvicorn, "tornado": tornado, "aiohttp": aiohttp, "twisted": twisted}

if __name__ == "__main__":
    KIND, PORT, LOG = sys.argv[1], int(sys.argv[2]), os.path.abspath(sys.argv[3])
    sys.argv[1:] = []
    SERVERS[KIND]()
