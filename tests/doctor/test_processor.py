"""What a processor has, as different systems tell it, and what that means for the precisions."""

from __future__ import annotations

import pytest

from compiler.doctor import processor
from compiler.doctor.processor import Processor, in_cpu_info, this_processor

ZEN2 = """processor\t: 0
vendor_id\t: AuthenticAMD
model name\t: AMD EPYC 7B12
flags\t\t: fpu sse2 ssse3 fma f16c avx avx2
bugs\t\t: spectre_v1

processor\t: 1
model name\t: another
flags\t\t: avx512f
"""
SAPPHIRE_RAPIDS = (
    "model name : Intel(R) Xeon(R) Platinum 8481C\n"
    "flags : avx2 fma avx512f avx512_vnni avx_vnni avx512_bf16 avx512_fp16 amx_bf16 amx_tile amx_int8\n"
)
GRAVITON3 = "processor\t: 0\nBogoMIPS\t: 2100.00\nFeatures\t: fp asimd asimdhp asimddp sve i8mm bf16\n"
RASPBERRY_PI_4 = "processor\t: 0\nFeatures\t: fp asimd evtstrm crc32 cpuid\nModel\t\t: Raspberry Pi 4\n"


def told(monkeypatch, tmp_path, text, machine):
    """The processor of a machine whose Linux says this."""
    (tmp_path / "cpuinfo").write_text(text)
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "cpuinfo")
    monkeypatch.setattr(processor, "processor_features", list)
    monkeypatch.setattr(processor.platform, "machine", lambda: machine)
    return this_processor()


@pytest.mark.parametrize(
    ("text", "machine", "features", "int8", "bf16", "fp16"),
    [
        (ZEN2, "x86_64", ("AVX2", "FMA"), "added up in 16 bits", "refuses precision=bf16", "in fp32"),
        (
            SAPPHIRE_RAPIDS,
            "x86_64",
            ("AVX2", "FMA", "AVX-512", "VNNI", "AMX int8", "AMX bf16", "AVX-512 bf16", "AVX-512 fp16"),
            "VNNI and AMX int8 adds products up in 32 bits",
            "computed by AMX bf16 and AVX-512 bf16",
            "inference_precision=f16",
        ),
        (
            GRAVITON3,
            "aarch64",
            ("NEON", "dot product", "i8mm", "arm bf16", "arm fp16"),
            "dot product and i8mm adds products up in 32 bits",
            "computed by arm bf16",
            "computed by arm fp16",
        ),
        (RASPBERRY_PI_4, "aarch64", ("NEON",), "not known of this processor", "refuses precision=bf16", "in fp32"),
    ],
)
def test_what_linux_tells_of_a_processor_is_told_for_each_precision(
    monkeypatch, tmp_path, text, machine, features, int8, bf16, fp16
):
    found = told(monkeypatch, tmp_path, text, machine)
    assert found.features == features
    assert int8 in found.meanings["int8"]
    assert bf16 in found.meanings["bf16"]
    assert fp16 in found.meanings["fp16"]


def test_of_several_processors_the_first_counts():
    assert in_cpu_info(ZEN2) == ("AMD EPYC 7B12", ["fpu", "sse2", "ssse3", "fma", "f16c", "avx", "avx2"])
    assert in_cpu_info("") == ("", [])
    assert in_cpu_info("no colon here\n\0\n") == ("", [])


def test_where_the_system_does_not_tell_numpy_does(monkeypatch, tmp_path):
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "nowhere")
    monkeypatch.setattr(processor.sys, "platform", "win32")
    monkeypatch.setattr(processor, "processor_features", lambda: ["AVX2", "FMA3", "AVX512VNNI"])
    assert this_processor().features == ("AVX2", "FMA", "VNNI")


def test_an_arm_processor_of_apples_is_asked_for_its_parts(monkeypatch, tmp_path):
    said = {"machdep.cpu.brand_string": "Apple M2", "hw.optional.arm.FEAT_BF16": "1", "hw.optional.arm.FEAT_I8MM": "0"}
    monkeypatch.setattr(processor, "CPU_INFO", tmp_path / "nowhere")
    monkeypatch.setattr(processor.sys, "platform", "darwin")
    monkeypatch.setattr(processor, "processor_features", list)
    monkeypatch.setattr(processor, "_sysctl", lambda name: said.get(name, ""))
    found = this_processor()
    assert (found.name, found.features) == ("Apple M2", ("arm bf16",))


def test_numpy_agrees_with_the_system_about_this_machine():
    from compiler.artifact.machine import processor_features

    names = {"AVX2": "AVX2", "FMA3": "FMA", "AVX512F": "AVX-512", "AVX512VNNI": "VNNI", "ASIMD": "NEON"}
    here = this_processor()
    assert {names[one] for one in processor_features() if one in names} <= {*here.features}
    assert here.name


def test_no_precision_is_left_out():
    assert Processor("", "riscv64", ()).meanings.keys() == {"int8", "bf16", "fp16"}
