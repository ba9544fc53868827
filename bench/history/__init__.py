"""What sessions measured, over the commits it was measured at: kept, drawn, searched for changes. Never a gate."""
