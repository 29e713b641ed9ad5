"""Generations: complete sets of read models, how one is rebuilt beside another, compared, verified and swapped in."""
