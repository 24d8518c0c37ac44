/// `bytes` with the CRC-32 of every stored member of a zip archive made right, so that what lies
/// behind the check is reached.
func withChecksums(_ bytes: [UInt8]) -> [UInt8] {
  var file = bytes
  func number(_ offset: Int, _ width: Int) -> Int {
    (0..<width).reduce(0) { $0 | Int(file[offset + $1]) << (8 * $1) }
  }
  func put(_ value: UInt32, at offset: Int) {
    guard offset <= file.count - 4 else { return }
    for byte in 0..<4 { file[offset + byte] = UInt8(truncatingIfNeeded: value >> (8 * byte)) }
  }
  var entry = 0
  while entry + 46 <= file.count {
    defer { entry += 1 }
    guard file[entry] == 0x50, number(entry, 4) == 0x0201_4B50, number(entry + 10, 2) == 0 else {
      continue
    }
    let (size, local) = (number(entry + 20, 4), number(entry + 42, 4))
    guard local + 30 <= file.count, number(local, 4) == 0x0403_4B50 else { continue }
    let start = local + 30 + number(local + 26, 2) + number(local + 28, 2)
    guard start + size <= file.count else { continue }
    let checksum = crc32(file[start..<start + size])
    let hasDescriptor = number(entry + 8, 2) & 8 != 0
    put(checksum, at: entry + 16)
    put(hasDescriptor ? 0 : checksum, at: local + 14)
    if hasDescriptor, start + size + 8 <= file.count,
      number(start + size, 4) == 0x0807_4B50
    {
      put(checksum, at: start + size + 4)
    }
  }
  return file
}
