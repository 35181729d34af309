import atexit
import gc

# Imports make a hundred thousand objects that live to the end. Looking for garbage among them, while they are made and when
# the interpreter ends, is a fifth of the time that `zoo list` takes.
gc.set_threshold(100_000)
atexit.register(gc.freeze)
