"""`Promise`, as the sandbox has it: create and all (SPEC: sandbox-api 1.5)."""

from typing import Any

from msgspec import UNSET

from sgtm._fast.sandbox_values import Callable, HostObject, Native, Opaque, Promise, Run, ScriptError
from sgtm.templates.arguments import Arguments, argument, refused


def _promise_create(run: Run, args: Arguments) -> Promise:
    function = argument(args, 0)
    if not isinstance(function, Callable):
        raise refused("Promise.create", args)
    promise = Promise(run)
    resolve = Native("resolve", lambda run, args: _settled(promise.resolve(argument(args, 0))))
    reject = Native("reject", lambda run, args: _settled(promise.reject(argument(args, 0))))
    try:
        function(run, resolve, reject)
    except ScriptError as error:
        promise.reject(Opaque(str(error)))
    return promise


def _settled(_: bool) -> Any:
    return UNSET


def _promise_all(run: Run, args: Arguments) -> Promise:
    members = argument(args, 0)
    if not isinstance(members, list):
        raise refused("Promise.all", args)
    run.make_elements(len(members))
    whole, values = Promise(run), list(members)
    waiting = [index for index, member in enumerate(members) if isinstance(member, Promise)]
    left = set(waiting)

    def one_done(index: int) -> Native:
        def done(run: Run, args: Arguments) -> Any:
            values[index] = argument(args, 0)
            left.discard(index)
            if not left:
                whole.resolve(values)
            return UNSET

        return Native("", done)

    fail = Native("", lambda run, args: _settled(whole.reject(argument(args, 0))))
    for index in waiting:
        members[index].then(one_done(index), fail)
    if not left:
        whole.resolve(values)
    return whole


PROMISE = HostObject(
    "Promise",
    {"create": Native("Promise.create", _promise_create), "all": Native("Promise.all", _promise_all)},
)
