import TensorFiles

/// A npz file, as it is and with its checksums made right: whatever arrays are found in it are
/// written and read again equal.
func zipReader(_ bytes: [UInt8]) {
  for file in [bytes, withChecksums(bytes)] {
    guard let tensors = try? NpzReader.read(file.span), !tensors.isEmpty else { continue }
    guard let file = try? NpzWriter.bytes(of: tensors) else { fatalError("read but not written") }
    guard let again = try? NpzReader.read(file.span), again == tensors else {
      fatalError("read again differently")
    }
  }
}
