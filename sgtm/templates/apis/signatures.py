"""hmacSha256 (SPEC: sandbox-api 1.5): a script names a key, and never sees it."""

import base64
import hmac

from msgspec import UNSET

from sgtm._fast.sandbox_convert import to_text
from sgtm._fast.sandbox_values import Run, ScriptError
from sgtm.templates.apis.declaration import api
from sgtm.templates.apis.guard import MAX_SHOWN, demand
from sgtm.templates.arguments import Arguments, argument
from sgtm.templates.host import host_of


@api("hmacSha256", "use_custom_private_keys", cost=4)
def hmac_sha256(run: Run, args: Arguments) -> str:
    """The signature of a text with the key of this id: base64url, or `outputEncoding` hex or base64."""
    text, key_id = (to_text(run, argument(args, index)) for index in (0, 1))
    demand(run, "hmacSha256", "use_custom_private_keys", key_id, shown=f"key {key_id}")
    key = host_of(run).services.private_key(key_id)
    if key is None:
        raise ScriptError(
            f"hmacSha256: there is no key {key_id[:MAX_SHOWN]!r}; the setting `credentials` names the file"
        )
    run.charge(len(text) >> 5)
    digest = hmac.digest(key, text.encode("utf-8", "replace"), "sha256")
    options = argument(args, 2)
    encoding = options.get("outputEncoding", UNSET) if isinstance(options, dict) else UNSET
    if encoding == "hex":
        return digest.hex()
    if encoding == "base64":
        return base64.b64encode(digest).decode()
    return base64.urlsafe_b64encode(digest).decode().rstrip("=")
