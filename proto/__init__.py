"""What is on the wire: options, schemas, media types, the model, errors. No HTTP, no numbers."""
