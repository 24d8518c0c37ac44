import TensorFiles

/// What is read is written and read again equal, but for the sign of zero.
func tsv(_ bytes: [UInt8]) {
  if let table = try? TsvReader.read(bytes.span) {
    guard let file = try? TsvWriter.bytes(of: table) else {
      fatalError("read but not written")
    }
    guard let again = try? TsvReader.read(file.span), again.shape == table.shape else {
      fatalError("read again differently")
    }
    for (old, new) in zip(table.bytes, again.bytes) {
      precondition(old == new || (old == 0x80 && new == 0), "another value")
    }
  }
}
