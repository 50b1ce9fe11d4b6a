// field.cuh: see docs
