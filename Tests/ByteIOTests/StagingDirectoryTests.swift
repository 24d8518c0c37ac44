import ByteIO
import Foundation
import TestSupport
import Testing

@Suite struct StagingDirectoryTests {
  private let folder: TemporaryDirectory

  init() throws { folder = try TemporaryDirectory() }

  private func entries(_ name: String = "") throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path(name)).sorted()
  }

  private func stage(_ name: String = "out", replacing: OutputReplacement = .nothing) throws
    -> StagingDirectory
  {
    try StagingDirectory(for: folder.path(name), replacing: replacing, inputs: [])
  }

  @Test func commitsInOneStep() throws {
    let staging = try stage()
    try staging.write([1, 2, 3], to: "a")
    let hidden = try entries()
    #expect(hidden.count == 1)
    #expect(hidden[0].hasPrefix(".out.leank-partial-"))
    #expect(try entries(hidden[0]) == [StagingDirectory.marker, "a"])
    try staging.commit()
    #expect(try entries() == ["out"])
    #expect(try entries("out") == ["a"])
    staging.discard()
    #expect(try entries("out") == ["a"])
  }

  @Test func permissionsAreThoseOfMkdir() throws {
    let staging = try stage()
    func mode(_ path: String) throws -> Int {
      let attributes = try FileManager.default.attributesOfItem(atPath: path)
      return try #require(attributes[.posixPermissions] as? Int)
    }
    #expect(try mode(staging.path) == 0o700)
    try staging.commit()
    try FileManager.default.createDirectory(
      atPath: folder.path("other"), withIntermediateDirectories: false)
    #expect(try mode(folder.path("out")) == mode(folder.path("other")))
  }

  @Test func droppedStagingIsRemoved() throws {
    do {
      let staging = try stage()
      try staging.write([1], to: "a")
    }
    #expect(try entries() == [])
  }

  @Test func namesAreOneComponentAndNew() throws {
    let staging = try stage()
    #expect(throws: FileError(.fileName, "")) { try staging.create("../a") }
    try staging.write([1], to: "a")
    #expect(throws: FileError(.exists, "")) { try staging.create("a") }
    #expect(throws: FileError(.unsafePath, "")) { try stage("..") }
  }

  @Test func existingOutputs() throws {
    try folder.write([7], to: "out/nested/deep")
    #expect(throws: FileError(.exists, "")) { try stage() }
    try folder.write([7], to: "file")
    #expect(throws: FileError(.unsafePath, "")) { try stage("file", replacing: .anyDirectory) }
    let staging = try stage(replacing: .anyDirectory)
    try staging.write([1], to: "a")
    try staging.commit()
    #expect(try entries() == ["file", "out"])
    #expect(try entries("out") == ["a"])
  }

  #if os(Linux)
    /// Names on Linux are bytes; what an exchanged output holds may have been named by anything.
    @Test func namesThatAreNoTextAreRemovedAsWell() throws {
      try folder.write([7], to: "out/a")
      try Data().write(to: URL(filePath: folder.path("out/b")))
      #expect(unsafe rename(folder.path("out/b"), folder.path("out/") + "x") == 0)
      let odd = Array(folder.path("out/").utf8CString.dropLast()) + [-1, 0x41, 0]
      #expect(unsafe rename(folder.path("out/x"), odd) == 0)
      let staging = try stage(replacing: .anyDirectory)
      try staging.commit()
      #expect(try entries() == ["out"])
      #expect(try entries("out") == [])
    }
  #endif

  /// What appears under the output's name after the check is not overwritten.
  @Test func theFirstOfTwoWins() throws {
    let first = try stage()
    let second = try stage()
    try first.write([1], to: "first")
    try second.write([2], to: "second")
    try second.commit()
    #expect(throws: FileError(.exists, "")) { try first.commit() }
    first.discard()
    #expect(try entries() == ["out"])
    #expect(try entries("out") == ["second"])
  }

  /// Ranges, in whatever pieces they are copied, arrive whole and in order.
  @Test(arguments: [0..<0, 0..<5, 3..<2_000_003, 100..<70_000_100])
  func copiesRanges(_ range: Range<Int>) throws {
    let size = range.upperBound + 10
    var bytes = [UInt8](repeating: 0, count: size)
    for index in stride(from: 0, to: size, by: 4093) { bytes[index] = UInt8(index % 251) }
    let source = try PositionalFile(path: try folder.write(bytes, to: "source"))
    let staging = try stage()
    let file = try staging.create("copy")
    try file.write([9].span)
    var seen = 0
    try file.copy(range, of: source) { count in
      seen += count
      return true
    }
    try file.finish()
    #expect(seen == range.count)
    #expect(file.length == range.count + 1)
    try staging.commit()
    let copy = [UInt8](try Data(contentsOf: URL(filePath: folder.path("out/copy"))))
    #expect(copy == [9] + bytes[range])
  }

  @Test func aSourceThatEndsIsNoticed() throws {
    let path = try folder.write([UInt8](repeating: 1, count: 100), to: "source")
    let source = try PositionalFile(path: path)
    try FileHandle(forWritingAtPath: path)?.truncate(atOffset: 50)
    let staging = try stage()
    let file = try staging.create("copy")
    #expect(throws: FileError(.changed, "")) {
      try file.copy(0..<100, of: source) { _ in true }
    }
  }
}
