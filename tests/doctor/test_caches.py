"""How much room the compiler takes up."""

from __future__ import annotations

from compiler.doctor.caches import caches, size_of


def test_sizes_are_those_of_all_files_below_and_of_no_link(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    root = tmp_path / "outputs/.cache"
    (root / "checkpoints").mkdir(parents=True)
    (root / "checkpoints/a.pth").write_bytes(b"x" * 700)
    (root / "load-1").mkdir()
    (root / "load-1/weights").write_bytes(b"x" * 300)
    (root / "link").symlink_to("/usr")
    (tmp_path / "home/deploy-compiler/environments/rknn").mkdir(parents=True)
    assert [one.size for one in caches(root)] == [1000, 700, None, 0]


def test_a_folder_that_is_gone_has_no_bytes(tmp_path):
    assert size_of(tmp_path / "nowhere") == 0
