"""JWT bearer tokens, which callers may have instead of an API key.

Which algorithms a token may have depends on where its key comes from, never on the token: HS256
with the shared secret, RS256 and ES256 with the public keys of an address.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import jwt

from okla_assets.doors.callers.caller import SCOPES, Caller, Scope
from okla_assets.doors.callers.public_keys import KeysUnavailable, PublicKeys
from okla_assets.doors.callers.records import TOKENS
from okla_assets.doors.errors import DoorError
from resources.errors import BrokenSetup
from resources.settings import Settings

SHARED = ("HS256",)
PUBLIC = ("RS256", "ES256")
LEAST_SECRET = 32
"""Bytes that RFC 7518 asks for with HS256."""
LEEWAY_SECONDS = 30
LONGEST_TOKEN = 8192

_CLAIMS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
SUBJECTS = ("sub", f"{_CLAIMS}nameidentifier")
ROLES = ("role", "roles", "http://schemas.microsoft.com/ws/2008/06/identity/claims/role")
"""As ASP.NET writes them, in short and in full."""

_PLAIN = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,58}[a-z0-9])?")


@dataclass(frozen=True)
class Tokens:
    """Checks tokens by the settings."""

    settings: Settings

    def __post_init__(self) -> None:
        secret = self.settings.jwt_secret
        if secret and len(secret.encode()) < LEAST_SECRET:
            raise BrokenSetup(
                f"OKLA_JWT_SECRET is shorter than {LEAST_SECRET} bytes, so that it can be guessed;"
                " give a longer one"
            )

    @property
    def configured(self) -> bool:
        """Whether tokens are taken at all."""
        return bool(self.settings.jwt_secret or self.settings.jwt_jwks_url)

    @cached_property
    def _public(self) -> PublicKeys:
        return PublicKeys(self.settings.jwt_jwks_url)

    def caller(self, token: str, fetch: bool = True) -> Caller:
        """Whom the token is about; unless `fetch`, its key has to be one of those known.

        Raises `DoorError`: 401 with the reason, 503 where public keys cannot be had.
        """
        if len(token) > LONGEST_TOKEN:
            raise _refused("it is too long")
        try:
            claims = self._claims(token, fetch)
        except KeysUnavailable:
            raise DoorError(
                503, "the keys of tokens cannot be had now; try again", headers={"Retry-After": "5"}
            ) from None
        except jwt.ExpiredSignatureError:
            raise _refused("it has expired") from None
        except jwt.MissingRequiredClaimError as error:
            raise _refused(f"it has no claim {error.claim}") from None
        except jwt.InvalidAudienceError:
            raise _refused("it is for another audience") from None
        except jwt.InvalidIssuerError:
            raise _refused("it is of another issuer") from None
        except jwt.PyJWTError:
            raise _refused("its signature or its form is wrong") from None
        subject = next((claims[name] for name in SUBJECTS if claims.get(name)), None)
        if not isinstance(subject, str):
            raise _refused("it names no subject (sub)")
        return Caller(_name(subject), _scopes(claims, self.settings.jwt_admin_role))

    def _claims(self, token: str, fetch: bool) -> Mapping[str, Any]:
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        key: Any
        allowed: tuple[str, ...]
        if self.settings.jwt_secret and algorithm in SHARED:
            key, allowed = self.settings.jwt_secret, SHARED
        elif self.settings.jwt_jwks_url and algorithm in PUBLIC:
            key, allowed = self._public.find(header.get("kid", ""), fetch), PUBLIC
            if key is None:
                raise jwt.InvalidKeyError("the token's key is none of those told")
        else:
            raise jwt.InvalidAlgorithmError(algorithm)
        audience, issuer = self.settings.jwt_audience, self.settings.jwt_issuer
        required = ["exp", *(["aud"] if audience else []), *(["iss"] if issuer else [])]
        claims: Mapping[str, Any] = jwt.decode(
            token,
            key,
            algorithms=list(allowed),
            audience=audience or None,
            issuer=issuer or None,
            leeway=LEEWAY_SECONDS,
            options={"require": required, "verify_aud": bool(audience)},
        )
        return claims


def _refused(reason: str) -> DoorError:
    return DoorError(
        401,
        f"the bearer token cannot be used: {reason}",
        headers={"WWW-Authenticate": 'Bearer error="invalid_token"'},
    )


def _name(subject: str) -> str:
    """A caller's name that is fit for storage keys, and never another subject's."""
    if _PLAIN.fullmatch(subject):
        return TOKENS + subject
    return f"{TOKENS}-{hashlib.sha256(subject.encode()).hexdigest()[:32]}"


def _scopes(claims: Mapping[str, Any], admin: str) -> frozenset[Scope]:
    roles: set[str] = set()
    for name in ROLES:
        given = claims.get(name, [])
        roles.update(map(str, given if isinstance(given, list) else [given]))
    every: frozenset[Scope] = frozenset(SCOPES)
    return every if admin and admin in roles else every - {"admin"}
