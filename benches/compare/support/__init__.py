"""What every comparison needs: cores, kernel accounting, statistics, tables, result files."""
