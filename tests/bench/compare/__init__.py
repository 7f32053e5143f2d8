"""What tools/compare is made of. Everything but transformers_side.py runs with Python's own library alone."""
