"""The streaming binaries: layout, writer, reader, order."""
