"""A board that others can join: results in one file, with what it takes to play them again and to grade them again."""
