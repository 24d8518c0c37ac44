import ByteIO
import TensorFiles
import Testing

/// The refusals that the hostile corpus does not reach, one case each.
struct ReaderErrorTests {
  private static func npy(
    _ header: String, version: UInt8 = 1, data: [UInt8] = []
  ) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(contentsOf: [0x93] + Array("NUMPY".utf8))
    writer.append(version)
    writer.append(UInt8(0))
    if version == 1 {
      writer.append(UInt16(header.utf8.count))
    } else {
      writer.append(UInt32(header.utf8.count))
    }
    writer.append(contentsOf: Array(header.utf8) + data)
    return writer.bytes
  }

  private static let goodNpy = npy(
    "{'descr': '|u1', 'fortran_order': False, 'shape': (1,)}", data: [1])

  // MARK: - npy

  @Test func npyLengthIsCut() {
    #expect(throws: TensorFileError(.truncated, "")) {
      try NpyReader.read(Self.goodNpy.span.extracting(0..<9))
    }
  }

  @Test func npyHeaderIsCut() {
    #expect(throws: TensorFileError(.truncated, "")) {
      try NpyReader.read(Self.goodNpy.span.extracting(0..<20))
    }
  }

  @Test(arguments: ["|f4", "|i8"]) func npyTypeLacksItsByteOrder(type: String) {
    let file = Self.npy("{'descr': '\(type)', 'fortran_order': False, 'shape': ()}")
    #expect(throws: TensorFileError(.npyHeader, "")) { try NpyReader.read(file.span) }
  }

  @Test(
    arguments: [
      "{'descr': '|u1", "{'descr': '|u\\x31'",
      "{'descr': '|u1', 'fortran_order': False, 'shape': (1",
      "{'descr' '|u1'", "{", "", "{'shape': (01,)}", "{'shape': (1, )} x", "{'shape': (,)}",
    ])
  func npyHeaderIsNoDictionary(header: String) {
    let file = Self.npy(header)
    let codes: [TensorFileCode] = [.npyHeader, .shape]
    #expect {
      try NpyReader.read(file.span)
    } throws: { error in
      (error as? TensorFileError).map { codes.contains($0.code) } ?? false
    }
  }

  @Test func npyArrayIsOverTheByteLimit() {
    var limits = TensorFileLimits.standard
    limits.arrayBytes = 0
    #expect(throws: TensorFileError(.limit, "")) {
      try NpyReader.read(Self.goodNpy.span, limits: limits)
    }
  }

  // MARK: - Files that are something else

  @Test(
    arguments: [
      ("version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
      ("\n <!DOCTYPE html><html>", "web page"), ("<HTML><body>", "web page"),
      ("<?xml version='1.0'?>", "web page"), ("GGUF\u{3}", "GGUF"),
      ("PK\u{3}\u{4}", "zip archive"), ("PK\u{5}\u{6}", "zip archive"),
    ])
  func junkIsNamed(text: String, name: String) {
    let file = Array(text.utf8)
    #expect {
      try NpyReader.read(file.span)
    } throws: { error in
      let error = error as? TensorFileError
      return error?.code == .otherFormat && error?.detail.contains(name) == true
    }
  }

  @Test(
    arguments: [
      ([0x1F, 0x8B, 8], "gzip"), ([0x8C, 0x4C, 0x4E, 0x4B], ".leank"),
      ([0x89, 0x4C, 0x4E, 0x4B], ".leank"),
      ([0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59], ".npy"),
      ([2, 0, 0, 0, 0, 0, 0, 0, 0x7B, 0x7D], ".safetensors"),
    ])
  func binaryJunkIsNamed(file: [UInt8], name: String) {
    #expect {
      try PthReader.read(file.span)
    } throws: { error in
      let error = error as? TensorFileError
      return error?.code == .otherFormat && error?.detail.contains(name) == true
    }
  }

  @Test func unknownJunkIsNotNamed() {
    let file: [UInt8] = [2, 0, 0, 0, 0, 0, 0, 0, 0x7A, 0x7D]
    #expect(throws: TensorFileError(.otherFormat, "")) { try NpzReader.read(file.span) }
    let empty: [UInt8] = []
    #expect(throws: TensorFileError(.truncated, "")) { try NpzReader.read(empty.span) }
  }

  @Test func oldTorchFormatsTellTheWayOut() {
    let magic: [UInt8] = [
      0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
    ]
    var tar = [UInt8](repeating: 0, count: 512)
    tar.replaceSubrange(257..<262, with: Array("ustar".utf8))
    for file in [magic, tar, [0x80, 3, 0x2E]] {
      #expect {
        try PthReader.read(file.span)
      } throws: { error in
        let error = error as? TensorFileError
        return error?.code == .torchLegacy && error?.detail.contains("torch.save") == true
      }
    }
  }

  // MARK: - Tables

  @Test func tableLineIsOverTheLimit() {
    var limits = TensorFileLimits.standard
    limits.tableLine = 3
    let file = Array("0\t1\t1\n".utf8)
    #expect(throws: TensorFileError(.limit, "")) {
      try TsvReader.read(file.span, limits: limits)
    }
  }

  @Test func tableTakesMoreThanTheFileMayGrowTo() {
    var limits = TensorFileLimits.standard
    limits.expansion = -14
    let file = Array("0\t1\t1\n".utf8)
    #expect(throws: TensorFileError(.limit, "")) {
      try TsvReader.read(file.span, limits: limits)
    }
  }

  @Test(arguments: [("+0.5", 0.5), (".5", 0.5), ("1.", 1), ("-0", -0.0), ("1E-02", 0.01)])
  func tableNumbers(text: String, value: Double) throws {
    let file = Array(text.utf8)
    let bytes = try TsvReader.read(file.span).bytes
    #expect(bytes.span.littleEndian(at: 0) == value.bitPattern)
  }

  // MARK: - Zip

  private static let member = ZipBuilder.Member("a.npy", goodNpy)

  private static func expect(
    _ code: TensorFileCode, _ change: (inout ZipBuilder) -> Void,
    sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var builder = ZipBuilder([member])
    change(&builder)
    let file = builder.bytes
    #expect(throws: TensorFileError(code, ""), sourceLocation: sourceLocation) {
      try NpzReader.read(file.span)
    }
  }

  @Test func zipAsBuiltIsRead() throws {
    let file = ZipBuilder([Self.member]).bytes
    #expect(try NpzReader.read(file.span).map(\.name) == ["a"])
  }

  @Test func zipGapBeforeTheDirectory() { Self.expect(.zipStructure) { $0.gap = [0] } }

  @Test func zipExtraFieldIsCut() {
    Self.expect(.zipStructure) { $0.members[0].centralExtra = [1] }
    Self.expect(.zipStructure) { $0.members[0].centralExtra = [2, 0, 9, 0, 1] }
    Self.expect(.zipStructure) { $0.members[0].localExtra = [1, 0, 1] }
  }

  @Test func zip64FieldAppearsTwice() {
    Self.expect(.zipStructure) { $0.members[0].centralExtra = [1, 0, 0, 0, 1, 0, 0, 0] }
  }

  @Test func zip64SizeIsMissing() {
    Self.expect(.zipStructure) { $0.members[0].size = .max }
    Self.expect(.zipStructure) {
      $0.members[0].size = .max
      $0.members[0].centralExtra = [1, 0, 8, 0] + [UInt8](repeating: 0xFF, count: 8)
    }
  }

  @Test func zipDirectoryRecordHasAnotherSignature() {
    Self.expect(.zipStructure) { $0.centralSignature = 0 }
  }

  @Test func zipNameIsOverTheLimit() {
    Self.expect(.limit) { $0.members[0].nameLength = 5000 }
  }

  @Test func zipDirectoryRecordIsCut() {
    Self.expect(.zipStructure) { $0.members[0].nameLength = 60 }
  }

  @Test func zipNameIsNotMarkedUTF8() {
    Self.expect(.zipName) { $0.members[0].name = Array("ä.npy".utf8) }
  }

  @Test func zipMemberIsOnAnotherDisk() {
    Self.expect(.zipFeature) { $0.members[0].disk = 1 }
  }

  @Test func zipMemberReachesIntoTheDirectory() {
    Self.expect(.zipStructure) {
      $0.members[0].size = 5000
      $0.members[0].storedSize = 5000
    }
  }

  @Test func zipDescriptorContradicts() {
    Self.expect(.zipStructure) {
      $0.members[0].flags = 8
      $0.members[0].descriptor = [UInt8](repeating: 0, count: 16)
    }
  }

  /// Every legal form of the descriptor: with and without signature, with 32 and 64-bit sizes.
  @Test(arguments: [true, false], [true, false])
  func zipDescriptors(isSigned: Bool, isWide: Bool) throws {
    var writer = ByteWriter()
    let plain = ZipBuilder([Self.member]).bytes
    if isSigned { writer.append(UInt32(0x0807_4B50)) }
    writer.append(contentsOf: plain[14..<18])
    for _ in 0..<2 {
      if isWide {
        writer.append(UInt64(Self.goodNpy.count))
      } else {
        writer.append(UInt32(Self.goodNpy.count))
      }
    }
    var member = Self.member
    member.flags = 8
    member.localSize = 0
    member.localCRC = 0
    member.descriptor = writer.bytes
    var second = member
    second.name = Array("b.npy".utf8)
    let file = ZipBuilder([member, second]).bytes
    #expect(try NpzReader.read(file.span).map(\.name) == ["a", "b"])
  }

  @Test func zipEndHasTwoCounts() {
    Self.expect(.zipStructure) {
      $0.countHere = 1
      $0.count = 2
    }
  }

  private static func zip64(
    start: Int, size: Int, count: UInt64 = 1, length: UInt64 = 44, disks: UInt32 = 1
  ) -> [UInt8] {
    var writer = ByteWriter()
    writer.append(UInt32(0x0606_4B50))
    writer.append(length)
    writer.append(UInt32(0))
    writer.append(UInt64(0))
    writer.append(count)
    writer.append(count)
    writer.append(UInt64(size))
    writer.append(UInt64(start))
    writer.append(UInt32(0x0706_4B50))
    writer.append(UInt32(0))
    writer.append(UInt64(start + size))
    writer.append(disks)
    return writer.bytes
  }

  @Test func zip64RecordsMayStandBesideFullOnes() throws {
    var builder = ZipBuilder([Self.member])
    builder.beforeEnd = { Self.zip64(start: $0, size: $1) }
    let file = builder.bytes
    #expect(try NpzReader.read(file.span).count == 1)
  }

  @Test func zip64RecordsContradict() {
    Self.expect(.zipStructure) { $0.beforeEnd = { Self.zip64(start: $0, size: $1, count: 2) } }
    Self.expect(.zipStructure) { $0.beforeEnd = { Self.zip64(start: $0, size: $1, length: 9) } }
    Self.expect(.zipStructure) { $0.beforeEnd = { Self.zip64(start: $0, size: $1, disks: 2) } }
  }
}
