import TensorFiles

/// What is read is written and read again equal.
func npy(_ bytes: [UInt8]) {
  if let array = try? NpyReader.read(bytes.span) {
    guard let file = try? NpyWriter.bytes(of: array) else { fatalError("read but not written") }
    guard let again = try? NpyReader.read(file.span), again == array else {
      fatalError("read again differently")
    }
  }
}
