"""How a request leaves a template, and how its answer comes back: promises of the APIs that send, and
sendHttpRequest and sendHttpGet, in both historical forms.

Who waits for an answer gets it by an `Ask` of the host. Where nobody waits, the request goes through the
lanes, which are durable: no callback was given, and when the script's own code and all that was ready have
run, the promise has no reaction and nothing of the script holds it any more, so it never gets one.
SPEC: sandbox-api 1.4.
"""

from cpython.object cimport PyObject
from msgspec import UNSET

from sgtm._fast.sandbox_apis cimport Guarded, Memory, argument, first
from sgtm._fast.sandbox_convert cimport double_of, text_of
from sgtm._fast.sandbox_values cimport Callable, Promise, Run

from sgtm._fast.sandbox_values import LimitError, ScriptError

__all__ = ["Lines", "Rejection", "SendHttp", "answer_body", "answer_headers", "reason_object"]

cdef object UNDEFINED = UNSET
cdef enum:
    MAX_HEADERS = 100       # of a request


class Rejection(Exception):
    """What a promise is rejected with, in place of a value."""

    def __init__(self, reason):
        self.reason = reason
        super().__init__()


cdef class _Awaited(Promise):
    # Knows whether anybody ever asked what becomes of it.
    cdef bint is_awaited

    cpdef object then(self, object on_value, object on_reason):
        self.is_awaited = True
        return Promise.then(self, on_value, on_reason)

    cdef bint is_forgotten(self):
        # Nobody can learn what becomes of it: only its exchange holds it.
        return not self.is_awaited and (<PyObject*> self).ob_refcnt == 1


cdef class Lines:
    """How requests leave: `ask` and `failed` are `Ask` and `Failed` of the house."""

    cdef object ask, failed

    def __init__(self, ask, failed):
        self.ask, self.failed = ask, failed

    cpdef Promise promised(self, Run run, object request, object timeout_s, object read):
        """The promise of what `read` makes of the answer (None: what sendHttpRequest gives)."""
        cdef _Exchange exchange = _Exchange.__new__(_Exchange)
        self.count_call(run)
        exchange.run, exchange.lines, exchange.request = run, self, request
        exchange.timeout_s, exchange.read, exchange.promise = timeout_s, read, _Awaited(run)
        run.later.append(exchange.leave)
        return exchange.promise

    cpdef int settle(self, Run run, Promise promise, object request, object timeout_s, object read) except -1:
        """Send it at once, and settle a promise by its answer."""
        cdef _Exchange exchange = _Exchange.__new__(_Exchange)
        exchange.run, exchange.lines, exchange.read, exchange.promise = run, self, read, promise
        run.host.asks.append(self.ask(request, timeout_s, exchange.told))
        return 0

    cdef int called_back(self, Run run, object request, object timeout_s, Callable callback) except -1:
        cdef _Exchange exchange = _Exchange.__new__(_Exchange)
        exchange.run, exchange.lines, exchange.callback = run, self, callback
        run.host.asks.append(self.ask(request, timeout_s, exchange.told))
        return 0

    cpdef int count_call(self, Run run) except -1:
        """One more request. Raises LimitError."""
        host = run.host
        if host.count("http") >= host.http_calls:
            raise LimitError("http_calls", f"the run sends more than {host.http_calls} requests")
        return 0


cdef class _Exchange:
    # A request that is under way, for its promise or for a callback.
    cdef Lines lines
    cdef Callable callback
    cdef object request, timeout_s, read, said
    cdef Promise promise
    cdef Run run            # last, as in `Promise`

    def leave(self):
        if (<_Awaited> self.promise).is_forgotten():
            self.promise.resolve(UNDEFINED)  # it waits for nothing any more
            self.run.host.requests.append(self.request)
        else:
            self.run.host.asks.append(self.lines.ask(self.request, self.timeout_s, self.told))
            self.request = None

    def told(self, said):
        self.said = said
        self.run.jobs.append(self.settle if self.callback is None else self.call_back)

    def settle(self):
        try:
            if isinstance(self.said, self.lines.failed):
                self.promise.reject(reason_object(self.run, reason_of(self.said)))
            elif self.read is None:
                self.promise.resolve(answer_object(self.run, self.said))
            else:
                self.promise.resolve(self.read(self.said))
        except Rejection as rejection:
            self.promise.reject(rejection.reason)
        except ScriptError as error:
            self.promise.reject(reason_object(self.run, str(error)))

    def call_back(self):
        said = self.said
        if isinstance(said, self.lines.failed):
            args = [-1 if said.reason == "timed_out" else 0, {}, UNDEFINED]
        else:
            args = [said.status, answer_headers(self.run, said), answer_body(self.run, said)]
        self.callback.call(self.run, args)


cdef str reason_of(object failed):
    return "timed_out" if failed.reason == "timed_out" else "failed"


cpdef dict reason_object(Run run, reason):
    """`{reason}`, as promises of APIs are rejected with."""
    run.make_elements(1)
    return {"reason": reason}


cdef dict answer_object(Run run, object answer):
    run.make_elements(3)
    body = answer_body(run, answer)
    return {"statusCode": answer.status, "headers": answer_headers(run, answer), "body": body}


cpdef object answer_body(Run run, answer):
    """The body as text; undefined where there is none."""
    cdef bytes body = answer.body
    if not body:
        return UNDEFINED
    run.make_text(len(body))
    return body.decode("utf-8", "replace")


cpdef dict answer_headers(Run run, answer):
    """Headers by lower-case name, repeated ones joined; of set-cookie an array, as in Node."""
    cdef dict found = {}
    cdef tuple headers = answer.headers
    run.make_elements(2 * len(headers))
    for name, value in headers:
        if name == "set-cookie":
            (<list> found.setdefault(name, [])).append(value)
        else:
            found[name] = f"{found[name]}, {value}" if name in found else value
    return found


cdef class SendHttp(Guarded):
    """`sendHttpRequest(url, options, body)` or `(url, callback, options, body)`; with a `method` it is
    sendHttpGet, which has no body.

    `target(url)` is the address as it is written, or None; `written(headers)` gives headers and problems;
    `credential(name, options, url)` what `authorization` says; `outgoing` makes the request;
    `default_s` and `max_s` are time-outs."""

    cdef Lines lines
    cdef object target, written, credential, outgoing, methods
    cdef str method
    cdef double default_s, max_s

    def __init__(
        self, name, demand, lines, target, written, credential, outgoing, methods, method, default_s, max_s
    ):
        super().__init__(name, demand, 50)
        self.lines, self.target, self.written, self.credential = lines, target, written, credential
        self.outgoing, self.methods, self.method = outgoing, methods, method
        self.default_s, self.max_s = default_s, max_s

    cdef object call(self, Run run, list args):
        cdef Promise rejected
        cdef Py_ssize_t place = 1
        cdef dict options
        self.begin(run, args)
        url, second = text_of(run, first(args)), argument(args, 1)
        if isinstance(second, Callable):
            place = 2
        elif second is None or second is UNDEFINED:
            place = 2 if type(argument(args, 2)) is dict else 1
        given = argument(args, place)
        options = given if type(given) is dict else {}
        body = UNDEFINED if self.method is not None else argument(args, place + 1)
        run.charge(len(<str> url) >> 2)
        self.ask(run, "send_http", None, url, "")
        request = self.request(run, url, options, body)
        timeout_s = self.timeout_of(run, options)
        if not isinstance(second, Callable):
            if request is not None:
                return self.lines.promised(run, request, timeout_s, None)
            rejected = Promise(run)
            rejected.reject(reason_object(run, "failed"))
            return rejected
        self.lines.count_call(run)
        if request is not None:
            self.lines.called_back(run, request, timeout_s, second)
        else:
            run.jobs.append(lambda: second(run, 0, {}, UNDEFINED))
        return UNDEFINED

    cdef double timeout_of(self, Run run, dict options) except? -1:
        # SPEC: sandbox-api 1.4 (milliseconds), reliability 4.2
        cdef double milliseconds
        given = options.get("timeout", UNDEFINED)
        if given is UNDEFINED:
            return self.default_s
        milliseconds = double_of(run, given)
        return min(milliseconds / 1000, self.max_s) if milliseconds > 0 else self.default_s

    cdef object request(self, Run run, str url, dict options, object body):
        # None, and a line on the console, where it can be none
        cdef Memory memory = run.host.permissions.memory
        cdef str method = self.method
        if method is None:
            method = text_of(run, options.get("method") or "GET").upper()
        target = memory.recall("target", url)
        if target is None:
            target = self.target(url)
            memory.keep("target", url, target, len(url))
        if target is None or method not in self.methods:
            what = "address" if target is None else "method"
            run.host.say(f"{self.name}: not sent, the {what} cannot be used")
            return None
        body = "" if body is None or body is UNDEFINED else text_of(run, body)
        run.make_text(len(<str> body))
        headers = self.headers_of(run, memory, options.get("headers"))
        given, credential = options.get("authorization"), None
        if given is not None and given is not UNDEFINED:
            credential = self.credential(self.name, options, target)
        return self.outgoing(method, target, headers, (<str> body).encode("utf-8", "replace"), credential)

    cdef object headers_of(self, Run run, Memory memory, object given):
        cdef list wanted = []
        cdef Py_ssize_t size = 0
        cdef str text
        if type(given) is not dict or not given:
            return ()
        if len(<dict> given) > MAX_HEADERS:
            raise LimitError("request_headers", f"a request has {MAX_HEADERS} headers at most")
        run.make_elements(len(<dict> given))
        for name, value in (<dict> given).items():
            if value is not UNDEFINED and value is not None:
                text = text_of(run, value)
                wanted.append((name, text))
                size += len(<str> name) + len(text)
        key = tuple(wanted)
        headers = memory.recall("headers", key)
        if headers is None:
            headers, problems = self.written(dict(wanted))
            for problem in problems:
                run.host.say(f"{self.name}: {problem}")
            if not problems:
                memory.keep("headers", key, headers, size)
        return headers
