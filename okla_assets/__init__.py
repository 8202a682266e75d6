from pathlib import Path

# A dagster.yaml that users have written may name classes by modules of earlier releases.
__path__.append(str(Path(__file__).with_name("moved")))
