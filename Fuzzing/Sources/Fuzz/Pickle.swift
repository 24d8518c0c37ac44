import TensorFiles

/// The input is the pickle of a whole archive with two storages of 96 bytes.
func pickle(_ bytes: [UInt8]) {
  let storage = [UInt8](repeating: 1, count: 96)
  let file = archive([("a/data.pkl", bytes), ("a/data/0", storage), ("a/data/1", storage)])
  if let tensors = try? PthReader.read(file.span) {
    for tensor in tensors { precondition(tensor.array.bytes.count <= file.count + 16 << 20) }
  }
}

/// A zip archive of stored members, as torch writes them but for padding.
private func archive(_ members: [(name: String, data: [UInt8])]) -> [UInt8] {
  var (body, directory): ([UInt8], [UInt8]) = ([], [])
  func put(_ value: Int, _ width: Int, _ bytes: inout [UInt8]) {
    for byte in 0..<width { bytes.append(UInt8(truncatingIfNeeded: value >> (8 * byte))) }
  }
  for (name, data) in members {
    let offset = body.count
    for isLocal in [true, false] {
      var record: [UInt8] = []
      put(isLocal ? 0x0403_4B50 : 0x0201_4B50, 4, &record)
      if !isLocal { put(20, 2, &record) }
      put(20, 2, &record)
      put(0, 8, &record)
      put(Int(crc32(data)), 4, &record)
      put(data.count, 4, &record)
      put(data.count, 4, &record)
      put(name.utf8.count, 2, &record)
      put(0, isLocal ? 2 : 12, &record)
      if !isLocal { put(offset, 4, &record) }
      record += Array(name.utf8)
      if isLocal { body += record + data } else { directory += record }
    }
  }
  let start = body.count
  body += directory
  put(0x0605_4B50, 4, &body)
  put(0, 4, &body)
  put(members.count, 2, &body)
  put(members.count, 2, &body)
  put(directory.count, 4, &body)
  put(start, 4, &body)
  put(0, 2, &body)
  return body
}
