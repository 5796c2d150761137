"""Mix dense, summary and chat sources into one training file, in the proportion a config states.

    python -m tools.fuse --config configs/fusion/demo.yaml --output-dir data/fused

    configs/fusion/<name>.yaml and the sources it names ──> <name>.train.jsonl    messages, images, task, source, weight, group_id
                                                            <name>.val.jsonl      the same, every validation row once
                                                            <name>.manifest.json  hashes, counts, shares, config

Every row of every source, and every photo, is checked before anything is written. The same config, seed and sources
give the same bytes. Memory does not grow with the length of rows, only by some bytes a row (docs/fusion.md).
"""

from pathlib import Path
from typing import Annotated

import typer

from tools.core import cli


def main(
    config: Annotated[Path, typer.Option(help="Fusion config; its file name names the output.")],
    output_dir: Annotated[Path, typer.Option(help="Folder of the fused files.")],
) -> None:
    """Mix dense, summary and chat sources into one training file."""
    from tools.core.fusion import account, manifest, plan, table
    from tools.core.fusion_config import read_fusion
    from tools.core.fusion_files import index_sources, token_counter, write
    from tools.core.jsonl import write_json
    from tools.core.progress import progress

    cfg = read_fusion(config)
    count, unit = token_counter(cfg.mix.tokenizer, config)
    files = [Path(name) for source in cfg.sources for name in (*source.paths, *(source.val.paths or []))]
    with progress("fuse: reading", sum(file.stat().st_size for file in files), unit="bytes") as bar:
        index = index_sources(cfg, count, bar.update)
    train, val = plan(index, cfg, config)
    parts = {"train": train, "val": val}
    with progress("fuse: writing", len(train) + len(val), unit="rows") as bar:
        outputs = write(index, parts, cfg, output_dir, config.stem, bar.update)
    made = manifest(index, cfg, config, parts, outputs, unit)
    write_json(output_dir / f"{config.stem}.manifest.json", made)
    for line in table(made.sources):
        cli.say(line)
    cli.say(f"{account(config.stem, made.sources)}; mixed by {cfg.mix.by}, loss counted in {unit}; {outputs['train'].path}")


if __name__ == "__main__":
    cli.run(main, writes=lambda config, output_dir: output_dir / config.stem)
