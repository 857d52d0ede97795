"""The spec: model, field types, load with line marks, JSON Schema, the commented example."""
