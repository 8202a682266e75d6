"""Finished pictures are signed where a certificate is configured, and say what was done."""

import importlib.util
import json
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from okla_assets.imaging.photo import codec
from okla_assets.imaging.types import Pixels
from okla_assets.options import StudioOptions
from okla_assets.steps.credentials import PROVENANCE_LABEL, finishing, signed
from okla_assets.steps.provenance import provenance_of
from resources.content_credentials import content_signer
from resources.errors import BrokenSetup
from tests import pictures
from tests.denied import deny
from tests.fakes import Pipeline
from tests.viewer import made

PLATE = {"quad": ((10, 10), (60, 10), (60, 30), (10, 30)), "confidence": 0.9}


@pytest.fixture(scope="module")
def pems(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate's chain of our own root, and its key."""
    pytest.importorskip("c2pa", reason="needs the extra c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    def name(common: str) -> x509.Name:
        pairs = ((NameOID.COMMON_NAME, common), (NameOID.ORGANIZATION_NAME, "Test"))
        return x509.Name([x509.NameAttribute(oid, text) for oid, text in pairs])

    root, leaf = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    now = datetime.now(UTC)

    def certificate(common: str, key: ec.EllipticCurvePrivateKey, ca: bool) -> bytes:
        usage = dict.fromkeys(
            (
                *("content_commitment", "key_encipherment", "data_encipherment"),
                *("key_agreement", "encipher_only", "decipher_only"),
            ),
            False,
        )
        made_of = (
            x509.CertificateBuilder()
            .subject_name(name(common))
            .issuer_name(name("Root"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(digital_signature=not ca, key_cert_sign=ca, crl_sign=ca, **usage),
                critical=True,
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()),
                critical=False,
            )
        )
        if not ca:
            purpose = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
            made_of = made_of.add_extension(purpose, critical=False)
        signed_by_root = made_of.sign(root, hashes.SHA256())
        return signed_by_root.public_bytes(serialization.Encoding.PEM)

    folder = tmp_path_factory.mktemp("certificates")
    chain, key = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate("Leaf", leaf, False) + certificate("Root", root, True))
    key.write_bytes(
        leaf.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return chain, key


@pytest.fixture
def configured(pems: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, path in zip(("OKLA_C2PA_CERT", "OKLA_C2PA_KEY"), pems, strict=True):
        monkeypatch.setenv(variable, str(path))


def told(picture: bytes, mime: str) -> tuple[str, dict[str, Any]]:
    """How the file's manifest validates, and its assertions by label."""
    import c2pa

    read = json.loads(c2pa.Reader(mime, BytesIO(picture)).json())
    active = read["manifests"][read["active_manifest"]]
    return read["validation_state"], {a["label"]: a["data"] for a in active["assertions"]}


@pytest.mark.parametrize(
    ("suffix", "mime"), [("jpg", "image/jpeg"), ("png", "image/png"), ("webp", "image/webp")]
)
def test_a_signed_picture_tells_its_edits(configured: None, suffix: str, mime: str) -> None:
    encoders: dict[str, Callable[[Pixels], bytes]] = {
        "jpg": codec.encode_jpeg,
        "png": codec.encode_png,
        "webp": codec.encode_webp,
    }
    photo = made.photo(1, plates=(PLATE,), photographed=0.4, turned=90)
    provenance = provenance_of(photo, StudioOptions())
    plain = encoders[suffix](pictures.car())
    picture = signed(content_signer(), plain, suffix, provenance)
    state, assertions = told(picture, mime)
    assert state == "Valid"  # Trusted would need a root on C2PA's list
    actions = assertions["c2pa.actions.v2"]["actions"]
    assert actions[0]["action"] == "c2pa.created"
    assert actions[0]["digitalSourceType"] == provenance.source_type
    assert [one["action"] for one in actions[1:]] == [edit.c2pa for edit in provenance.edits]
    assert assertions[PROVENANCE_LABEL] == provenance.model_dump(mode="json")
    assert (codec.decode_trusted(picture) == codec.decode_trusted(plain)).all()


def test_a_changed_picture_is_no_longer_valid(configured: None) -> None:
    provenance = provenance_of(made.photo(1), StudioOptions())
    picture = signed(content_signer(), codec.encode_jpeg(pictures.car()), "jpg", provenance)
    changed = bytearray(picture)
    changed[-200] ^= 255
    assert told(bytes(changed), "image/jpeg")[0] == "Invalid"


def test_without_a_certificate_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("OKLA_C2PA_CERT", "OKLA_C2PA_KEY"):
        monkeypatch.delenv(variable, raising=False)
    signer = content_signer()
    assert signer is None
    provenance = provenance_of(made.photo(1), StudioOptions())
    assert signed(signer, b"a picture", "jpg", provenance) == b"a picture"


def test_what_is_configured_wrongly_is_named(
    pems: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("OKLA_C2PA_CERT", str(pems[0]))
    monkeypatch.delenv("OKLA_C2PA_KEY", raising=False)
    with pytest.raises(BrokenSetup, match="OKLA_C2PA_KEY is not set"):
        content_signer()
    monkeypatch.setenv("OKLA_C2PA_KEY", str(tmp_path / "none.pem"))
    with pytest.raises(BrokenSetup, match="no file"):
        content_signer()
    monkeypatch.setenv("OKLA_C2PA_KEY", str(pems[0]))  # a certificate is no key
    signer = content_signer()
    assert signer is not None
    with pytest.raises(BrokenSetup, match="no private key"):
        signer.signed(codec.encode_jpeg(pictures.car()), "image/jpeg", {})


@pytest.mark.parametrize("variable", ["OKLA_C2PA_CERT", "OKLA_C2PA_KEY"])
def test_a_file_that_is_not_there_or_may_not_be_read_is_named(
    configured: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, variable: str
) -> None:
    for path in (tmp_path / "none.pem", tmp_path):
        with monkeypatch.context() as wrong:
            wrong.setenv(variable, str(path))
            with pytest.raises(BrokenSetup, match=f"{variable} names .* no file"):
                content_signer()
    with monkeypatch.context() as denied:
        deny(denied, Path(os.environ[variable]))
        with pytest.raises(BrokenSetup, match=f"{variable} names .*cannot be read.*allow this"):
            content_signer()


def test_the_extra_that_is_not_installed_is_named(
    configured: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *more: None if name == "c2pa" else find(name, *more),
    )
    with pytest.raises(BrokenSetup, match=r"okla-media\[c2pa\]"):
        content_signer()


def test_a_key_of_another_certificate_or_kind_is_named(
    configured: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, x25519

    picture = codec.encode_jpeg(pictures.car())
    plain = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path / "other.pem"
    monkeypatch.setenv("OKLA_C2PA_KEY", str(path))
    for key, told in (
        (x25519.X25519PrivateKey.generate(), "of a kind that C2PA does not know"),
        (ec.generate_private_key(ec.SECP256R1()), "cannot sign a picture"),
    ):
        path.write_bytes(key.private_bytes(serialization.Encoding.PEM, *plain))
        signer = content_signer()
        assert signer is not None
        with pytest.raises(BrokenSetup, match=told):
            signer.signed(picture, "image/jpeg", {})


def test_what_is_not_published_is_not_signed(configured: None) -> None:
    known: Any = (None,) * 4
    kept_back: Any = (SimpleNamespace(number=1, processed_key=None), {"work/matte.png": b"a matte"})
    finish = finishing(content_signer(), known, StudioOptions(), lambda searched: kept_back)
    assert finish("searched") == kept_back


def test_the_pipeline_stops_where_it_cannot_sign(
    pems: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, pipeline: Pipeline
) -> None:
    monkeypatch.setenv("OKLA_C2PA_CERT", str(pems[0]))
    monkeypatch.setenv("OKLA_C2PA_KEY", str(tmp_path / "lost.pem"))
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    with pytest.raises(BrokenSetup, match=r"OKLA_C2PA_KEY names .*lost\.pem, which is no file"):
        pipeline.run()
    assert not list(pipeline.store.list("processed/"))


def test_the_pipeline_signs_what_it_publishes(configured: None, pipeline: Pipeline) -> None:
    pipeline.upload({"1.jpg": pictures.jpeg(pictures.car())})
    (photo,) = pipeline.run().listing.photos
    assert photo.processed_key is not None
    state, assertions = told(pipeline.store.get(photo.processed_key), "image/jpeg")
    assert state == "Valid"
    assert photo.provenance is not None
    assert assertions[PROVENANCE_LABEL] == photo.provenance.model_dump(mode="json")
