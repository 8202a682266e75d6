"""Signing of pictures with C2PA content credentials, where the extra `c2pa` is installed.

The certificate's chain and its key are PEM files that OKLA_C2PA_CERT and OKLA_C2PA_KEY name.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from resources.errors import BrokenSetup, system_reason
from resources.settings import settings


@dataclass(frozen=True)
class ContentSigner:
    """A certificate's chain, the leaf first, and its private key, both as PEM."""

    chain: bytes
    key: bytes = field(repr=False)

    @property
    def fingerprint(self) -> str:
        """Two equal fingerprints sign as the same."""
        return hashlib.sha256(self.chain).hexdigest()

    def signed(self, picture: bytes, mime: str, manifest: Mapping[str, Any]) -> bytes:
        """The picture's file with a C2PA manifest inside.

        Raises BrokenSetup where the certificate and key cannot sign.
        """
        import c2pa

        # No thumbnail of the claim: it is the picture itself.
        unadorned = c2pa.Context.from_dict({"builder": {"thumbnail": {"enabled": False}}})
        out = BytesIO()
        try:
            info = c2pa.C2paSignerInfo(self._algorithm(), self.chain, self.key, None)
            builder = c2pa.Builder(json.dumps(manifest), unadorned)
            builder.sign(c2pa.Signer.from_info(info), mime, BytesIO(picture), out)
        except c2pa.C2paError as error:
            raise BrokenSetup(
                f"OKLA_C2PA_CERT and OKLA_C2PA_KEY cannot sign a picture: {error}"
            ) from None
        return out.getvalue()

    def _algorithm(self) -> str:
        """C2PA's name of the key's algorithm."""
        from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            key = load_pem_private_key(self.key, None)
        except (TypeError, ValueError) as error:
            raise BrokenSetup(f"OKLA_C2PA_KEY names no private key in PEM: {error}") from None
        if isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.key_size in _BY_CURVE:
            return _BY_CURVE[key.curve.key_size]
        if isinstance(key, ed25519.Ed25519PrivateKey):
            return "ed25519"
        if isinstance(key, rsa.RSAPrivateKey):
            return "ps256"
        raise BrokenSetup("OKLA_C2PA_KEY is of a kind that C2PA does not know; take P-256")


_BY_CURVE = {256: "es256", 384: "es384", 521: "es512"}


def content_signer() -> ContentSigner | None:
    """The signer that the settings name; None where they name none.

    Raises BrokenSetup where only one of the two files is named, one cannot be read, or the extra is
    not installed.
    """
    from importlib.util import find_spec

    named = {"OKLA_C2PA_CERT": settings().c2pa_cert, "OKLA_C2PA_KEY": settings().c2pa_key}
    if not any(named.values()):
        return None
    for variable, path in named.items():
        if not path:
            raise BrokenSetup(f"{variable} is not set, but the other one of the two is: name both")
    if find_spec("c2pa") is None:
        raise BrokenSetup("OKLA_C2PA_CERT needs `pip install 'okla-media[c2pa]'`")
    chain, key = (_read(variable, path) for variable, path in named.items())
    return ContentSigner(chain, key)


def _read(variable: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
        raise BrokenSetup(f"{variable} names {path}, which is no file") from None
    except OSError as error:
        raise BrokenSetup(
            f"{variable} names {path}, which cannot be read: {system_reason(error)}"
        ) from None
