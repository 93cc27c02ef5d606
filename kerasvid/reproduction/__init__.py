"""The papers' tables: `papers/*.json` hold them, `runner.Reproduction` trains and measures them."""
