"""Signatures: made with a private key, checked with its public one, and by OpenSSL and OpenSSF's own command too."""

from __future__ import annotations

import base64
import json
import shutil
import subprocess
import sys

import pytest

from compiler.artifact import LOCK_FILE, file_digests, write_json
from compiler.artifact.signature import check_signature, sign, signature_file
from compiler.errors import CompileError, ExitCode, UsageError

pytest.importorskip("model_signing.signing")

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa


def written(folder, name, key, password=None):
    """Write both halves of a key."""
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (folder / f"{name}.pem").write_bytes(private)
    (folder / f"{name}.pub").write_bytes(public)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    """A folder of keys: ours, another's, and some that sign no bundles."""
    folder = tmp_path_factory.mktemp("keys")
    for name, curve in (("ours", ec.SECP256R1()), ("another", ec.SECP256R1()), ("p384", ec.SECP384R1())):
        written(folder, name, ec.generate_private_key(curve))
    written(folder, "koblitz", ec.generate_private_key(ec.SECP256K1()))
    written(folder, "rsa", rsa.generate_private_key(65537, 2048))
    written(folder, "locked", ec.generate_private_key(ec.SECP256R1()), b"password")
    (folder / "text.pem").write_text("no key")
    (folder / "text.pub").write_text("no key")
    return folder


@pytest.fixture
def bundle(tmp_path):
    folder = tmp_path / "bundle"
    (folder / "engine").mkdir(parents=True)
    for name in ("engine.json", "engine/weights.bin", ".gitignore"):
        (folder / name).write_text(name)
    write_json(folder / LOCK_FILE, {"version": 2, "key": "abc", "files": file_digests(folder)})
    return folder


def refused(bundle, key):
    with pytest.raises(CompileError, match="is not what was signed with this key") as caught:
        check_signature(bundle, key)
    assert caught.value.where == str(signature_file(bundle))
    assert caught.value.exit_code == ExitCode.FAILED
    assert "\n" not in caught.value.why
    return caught.value.why


@pytest.mark.parametrize("name", ["ours", "p384"])
def test_what_was_signed_is_known_by_the_public_key_and_left_as_it_was(bundle, keys, name):
    before = file_digests(bundle)
    assert sign(bundle, keys / f"{name}.pem") == bundle.parent / "bundle.sig"
    assert file_digests(bundle) == before
    check_signature(bundle, keys / f"{name}.pub")
    assert sorted(path.name for path in bundle.parent.iterdir()) == ["bundle", "bundle.sig"]


def test_a_bundle_may_be_moved_with_its_signature(bundle, keys, tmp_path, monkeypatch):
    sign(bundle, keys / "ours.pem")
    moved = bundle.rename(tmp_path / "moved")
    signature_file(bundle).rename(tmp_path / "moved.sig")
    check_signature(moved, keys / "ours.pub")
    monkeypatch.chdir(moved)
    check_signature(moved.relative_to(moved), keys / "ours.pub")


def test_openssfs_own_command_knows_it_too(bundle, keys):
    signature = sign(bundle, keys / "ours.pem")
    command = [sys.executable, "-m", "model_signing", "verify", "key", bundle, "--signature", signature]
    command += ["--public_key", keys / "ours.pub", "--no-ignore-git-paths"]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stdout + run.stderr


def test_another_key_is_refused(bundle, keys):
    sign(bundle, keys / "ours.pem")
    assert "does not match the provided public key" in refused(bundle, keys / "another.pub")


def change(bundle):
    (bundle / "engine/weights.bin").write_text("others")


def add(bundle):
    (bundle / "added.txt").touch()


def add_for_git(bundle):
    (bundle / ".gitattributes").touch()


def take_away(bundle):
    (bundle / "engine.json").unlink()


def change_with_its_lock(bundle):
    change(bundle)
    write_json(bundle / LOCK_FILE, {"version": 2, "key": "abc", "files": file_digests(bundle, (LOCK_FILE,))})


def link(bundle):
    (bundle / "link").symlink_to("engine.json")


@pytest.mark.parametrize("how", [change, add, add_for_git, take_away, change_with_its_lock, link])
def test_what_was_changed_since_is_refused(bundle, keys, how):
    sign(bundle, keys / "ours.pem")
    how(bundle)
    refused(bundle, keys / "ours.pub")


def test_a_signature_of_another_bundle_is_refused(bundle, keys, tmp_path):
    other = shutil.copytree(bundle, tmp_path / "other")
    change_with_its_lock(other)
    shutil.copyfile(sign(other, keys / "ours.pem"), signature_file(bundle))
    refused(bundle, keys / "ours.pub")


def changed_payload(content):
    values = json.loads(content)
    payload = base64.b64decode(values["dsseEnvelope"]["payload"])
    values["dsseEnvelope"]["payload"] = base64.b64encode(payload.replace(b"engine", b"enginf")).decode()
    return json.dumps(values)


DAMAGES = {
    "empty": lambda content: "",
    "half": lambda content: content[: len(content) // 2],
    "a list": lambda content: "[]",
    "an object": lambda content: "{}",
    "deep": lambda content: "[" * 100_000,
    "another payload": changed_payload,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_signature_is_refused(bundle, keys, damage):
    signature = sign(bundle, keys / "ours.pem")
    signature.write_text(damage(signature.read_text()))
    assert refused(bundle, keys / "ours.pub")


def test_a_missing_signature_is_told_with_its_place(bundle, keys):
    with pytest.raises(CompileError, match="the bundle is not signed") as caught:
        check_signature(bundle, keys / "ours.pub")
    assert caught.value.where == str(bundle.parent / "bundle.sig")


@pytest.mark.parametrize("name", ["rsa", "koblitz", "locked", "text", "ours.pub", "nowhere"])
def test_what_is_no_private_key_is_wrong_usage(bundle, keys, name):
    key = keys / (name if "." in name else f"{name}.pem")
    with pytest.raises(UsageError, match="no private key|no key") as caught:
        sign(bundle, key)
    assert caught.value.where == f"key={key}"
    assert "P-256" in caught.value.fix
    assert not signature_file(bundle).exists()


@pytest.mark.parametrize("name", ["rsa", "koblitz", "text", "ours.pem", "nowhere"])
def test_what_is_no_public_key_is_wrong_usage(bundle, keys, name):
    sign(bundle, keys / "ours.pem")
    key = keys / (name if "." in name else f"{name}.pub")
    with pytest.raises(UsageError, match="no public key|no key") as caught:
        check_signature(bundle, key)
    assert caught.value.where == f"key={key}"


def test_without_the_library_it_is_said_what_to_install(bundle, keys, monkeypatch):
    for name in ("hashing", "signing", "verifying"):
        monkeypatch.setitem(sys.modules, f"model_signing.{name}", None)
    for work, key in ((sign, "ours.pem"), (check_signature, "ours.pub")):
        with pytest.raises(CompileError, match="model-signing is not installed") as caught:
            work(bundle, keys / key)
        assert caught.value.fix == "pip install 'deploy-compiler[sign]'"
        assert caught.value.exit_code == ExitCode.FAILED
