"""A student for tests: the committed teacher's text part, and a vision tower of random weights."""

from pathlib import Path


def random_student(folder: Path) -> Path:
    """Write a checkpoint folder and return it. Its chats make sense; what it says of photos is noise."""
    import torch

    from miniature.student.files import save_checkpoint
    from miniature.student.train import build
    from miniature.teacher.import_gguf import main

    torch.manual_seed(0)
    main(output_dir=folder / "teacher")
    tokens, net = build(folder / "teacher" / "tokenizer.json", folder / "teacher" / "teacher.safetensors")
    save_checkpoint(folder / "student", net, tokens)
    return folder / "student"
