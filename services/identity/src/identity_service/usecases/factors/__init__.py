"""Second factors: enrolling, proving and losing them."""
