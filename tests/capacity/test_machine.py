"""What a machine says of itself, read into a value."""

import os

from verdicts.capacity.machine import MIB, Gpu, look_at_machine, read_gpus, read_memory

MEMINFO = "MemTotal:       16384000 kB\nMemFree:         1000000 kB\nMemAvailable:    8192000 kB\n"


def test_gpus_are_what_nvidia_smi_lists():
    said = "NVIDIA H100 80GB HBM3, 570.86.15, 81559, 80993\nNVIDIA L4, 570.86.15, 23034, 12\n"
    assert read_gpus(0, said) == (
        (
            Gpu("NVIDIA H100 80GB HBM3", "570.86.15", 81_559 * MIB, 80_993 * MIB),
            Gpu("NVIDIA L4", "570.86.15", 23_034 * MIB, 12 * MIB),
        ),
        "",
    )
    assert read_gpus(None, "") == ((), ""), "no nvidia-smi, no GPU"


def test_a_driver_that_does_not_answer_is_told_in_its_own_words():
    failed = "Failed to initialize NVML: Driver/library version mismatch\n"
    assert read_gpus(18, failed) == ((), failed.strip())
    assert read_gpus(9, "") == ((), "exit status 9")
    assert read_gpus(0, "x, 570, [N/A], [N/A]\n") == ((), "nvidia-smi says 'x, 570, [N/A], [N/A]'")


def test_memory_is_no_more_than_a_container_may_have():
    assert read_memory(MEMINFO, "max\n") == (16_384_000 * 1024, 8_192_000 * 1024)
    assert read_memory(MEMINFO, f"{4 * 2**30}\n") == (4 * 2**30, 4 * 2**30)
    assert read_memory(MEMINFO, "") == (16_384_000 * 1024, 8_192_000 * 1024)


def test_this_machine_has_memory_cores_a_disk_and_the_packages_of_the_tests(tmp_path):
    machine = look_at_machine(tmp_path / "not/there/yet")
    assert 0 < machine.ram_free <= machine.ram and machine.disk_free > 0
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert {"llama-cpp-python", "httpx"} <= machine.packages.keys()
