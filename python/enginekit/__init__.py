"""The authoring side of engine: import, quantize, plan, emit, simulate, talk to boards, report."""
