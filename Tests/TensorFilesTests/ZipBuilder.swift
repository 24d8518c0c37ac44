import ByteIO
import Zlib

/// A zip archive with every field under control, for making wrong ones.
struct ZipBuilder {
  struct Member {
    var name: [UInt8]
    var data: [UInt8]
    var flags: UInt16 = 0
    var nameLength: UInt16?
    var localExtra: [UInt8] = []
    var centralExtra: [UInt8] = []
    var size: UInt32?
    var storedSize: UInt32?
    var localSize: UInt32?
    var localCRC: UInt32?
    var disk: UInt16 = 0
    var descriptor: [UInt8] = []

    init(_ name: String, _ data: [UInt8]) {
      self.name = Array(name.utf8)
      self.data = data
    }
  }

  var members: [Member]
  var gap: [UInt8] = []
  var centralSignature: UInt32 = 0x0201_4B50
  var countHere: UInt16?
  var count: UInt16?
  var start: UInt32?
  /// Bytes between the directory and the end record, made from the directory's place.
  var beforeEnd: (_ start: Int, _ size: Int) -> [UInt8] = { _, _ in [] }

  init(_ members: [Member]) { self.members = members }

  var bytes: [UInt8] {
    var writer = ByteWriter()
    var directory = ByteWriter()
    for member in members {
      let offset = UInt32(writer.count)
      let crc = CRC32.of(member.data.span)
      let size = UInt32(member.data.count)
      writer.append(UInt32(0x0403_4B50))
      writer.append(UInt16(20))
      writer.append(member.flags)
      writer.append(UInt16(0))
      writer.append(UInt32(0))
      writer.append(member.localCRC ?? crc)
      writer.append(member.localSize ?? member.storedSize ?? size)
      writer.append(member.localSize ?? member.size ?? size)
      writer.append(UInt16(member.name.count))
      writer.append(UInt16(member.localExtra.count))
      writer.append(contentsOf: member.name)
      writer.append(contentsOf: member.localExtra)
      writer.append(contentsOf: member.data)
      writer.append(contentsOf: member.descriptor)
      directory.append(centralSignature)
      directory.append(UInt32(0x0014_0014))
      directory.append(member.flags)
      directory.append(UInt16(0))
      directory.append(UInt32(0))
      directory.append(crc)
      directory.append(member.storedSize ?? size)
      directory.append(member.size ?? size)
      directory.append(member.nameLength ?? UInt16(member.name.count))
      directory.append(UInt16(member.centralExtra.count))
      directory.append(UInt16(0))
      directory.append(member.disk)
      directory.append(contentsOf: [UInt8](repeating: 0, count: 6))
      directory.append(offset)
      directory.append(contentsOf: member.name)
      directory.append(contentsOf: member.centralExtra)
    }
    writer.append(contentsOf: gap)
    let place = writer.count
    writer.append(contentsOf: directory.bytes)
    writer.append(contentsOf: beforeEnd(place, directory.count))
    writer.append(UInt32(0x0605_4B50))
    writer.append(UInt32(0))
    writer.append(countHere ?? count ?? UInt16(members.count))
    writer.append(count ?? UInt16(members.count))
    writer.append(UInt32(directory.count))
    writer.append(start ?? UInt32(place))
    writer.append(UInt16(0))
    return writer.bytes
  }
}
