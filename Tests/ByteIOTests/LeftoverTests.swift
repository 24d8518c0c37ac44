import ByteIO
import Foundation
import TestSupport
import Testing

@Suite struct LeftoverTests {
  private let folder: TemporaryDirectory

  init() throws { folder = try TemporaryDirectory() }

  private func entries() throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
  }

  private func directory() throws -> DirectoryHandle { try DirectoryHandle(path: folder.path) }

  @Test func findsWhatLeankLeavesAndNothingElse() throws {
    let ours = [
      ".a.leank-parts/model.safetensors", ".out.leank-partial-0/LEANK_INCOMPLETE",
      ".out.leank-partial-1z141z3/nested/deep", ".x.leank.leank-partial-abc",
    ]
    let others = [
      ".leank-parts/a", ".leank-partial-abc", "a.leank-parts/b", ".a.leank-parts.old/b",
      "out.leank-partial-abc", ".out.leank-partial-", ".out.leank-partial-12345678",
      ".out.leank-partial-ABC", ".out.leank-partial-a.b", ".out.leank-partial-a-b",
      "model/config.json",
    ]
    for path in ours + others { try folder.write([1, 2, 3], to: path) }
    for (link, target) in [(".l.leank-partial-abc", "model"), (".l.leank-parts", "model")] {
      try FileManager.default.createSymbolicLink(
        atPath: folder.path(link), withDestinationPath: folder.path(target))
    }
    // A file under the name of a directory is not ours either.
    try folder.write([1], to: ".f.leank-parts")
    let before = try entries()
    let found = try directory().leftovers()
    #expect(
      found.map(\.name) == [
        ".a.leank-parts", ".out.leank-partial-0", ".out.leank-partial-1z141z3",
        ".x.leank.leank-partial-abc",
      ])
    #expect(found.map(\.kind) == [.parts, .staging, .staging, .staging])
    #expect(found.allSatisfy { $0.bytes == 3 && $0.use == .free })
    for leftover in found { try directory().remove(leftover) }
    #expect(try entries() == before.filter { name in !found.contains { $0.name == name } })
    #expect(try Data(contentsOf: URL(filePath: folder.path("model/config.json"))).count == 3)
    // Gone already: nothing to do.
    try directory().remove(found[0])
  }

  @Test func stagingInUseStays() throws {
    let staging = try StagingDirectory(for: folder.path("out"), inputs: [])
    let found = try directory().leftovers()
    #expect(found.map(\.use) == [.held])
    #expect(throws: FileError(.inUse, "")) { try directory().remove(found[0]) }
    // The lock of the directory covers the moment after the marker is gone.
    try FileManager.default.removeItem(atPath: staging.path + "/" + StagingDirectory.marker)
    #expect(throws: FileError(.inUse, "")) { try directory().remove(found[0]) }
    staging.discard()
    #expect(try entries() == [])
  }

  @Test func partsInUseStay() throws {
    let output = folder.path("out")
    do {
      let first = try PartsDirectory(for: output, inputs: [], forCommit: false)
      // Tasks share it, a commit does not.
      let second = try PartsDirectory(for: output, inputs: [], forCommit: false)
      #expect(throws: FileError(.inUse, "")) {
        try PartsDirectory(for: output, inputs: [], forCommit: true)
      }
      #expect(throws: FileError(.inUse, "")) {
        try directory().remove(try #require(directory().leftovers().first))
      }
      #expect(first.path == second.path)
    }
    do {
      let commit = try PartsDirectory(for: output, inputs: [], forCommit: true)
      #expect(throws: FileError(.inUse, "")) {
        try PartsDirectory(for: output, inputs: [], forCommit: false)
      }
      commit.discard()
    }
    #expect(try entries() == [])
    #expect(throws: FileError(.missing, "")) {
      try PartsDirectory(for: output, inputs: [], forCommit: true)
    }
  }

  @Test func partsAppearWhole() throws {
    let parts = try PartsDirectory(
      for: folder.path("out"), inputs: [], forCommit: false)
    func write(_ bytes: [UInt8], failing: Bool = false) throws {
      try parts.write("a", lifting: { $0 }) { (file: OutputFile) throws(FileError) in
        try file.write(bytes.span)
        if failing { throw FileError(.changed, "") }
      }
    }
    // A killed task's temporary file goes when the same file is written again, others stay.
    try folder.write([9], to: ".out.leank-parts/.a.leank-partial-abc")
    try folder.write([9], to: ".out.leank-parts/.b.leank-partial-abc")
    #expect(throws: FileError(.changed, "")) { try write([1], failing: true) }
    #expect(try parts.contents(of: "a", limit: 10) == nil)
    try write([1, 2])
    try write([3])
    #expect(try parts.contents(of: "a", limit: 10) == [3])
    #expect(try parts.size(of: "a") == 1)
    #expect(try parts.size(of: "b") == nil)
    #expect(try parts.writeOnce([1], to: "once") == [1])
    #expect(try parts.writeOnce([2], to: "once") == [1])
    #expect(
      try FileManager.default.contentsOfDirectory(atPath: parts.path).sorted() == [
        ".b.leank-partial-abc", "LEANK_INCOMPLETE", "a", "once",
      ])
    #expect(try parts.freeSpace() > 0)
  }

  @Test(arguments: ["..", "a/.."])
  func partsNeedAPlainName(_ name: String) throws {
    #expect(throws: FileError.self) {
      try PartsDirectory(for: folder.path(name), inputs: [], forCommit: false)
    }
  }

  @Test func finishedPartsAreAdopted() throws {
    let parts = try PartsDirectory(
      for: folder.path("out"), inputs: [], forCommit: false)
    try parts.write("a", lifting: { $0 }) { (file: OutputFile) throws(FileError) in
      try file.write([1, 2, 3].span)
    }
    let staging = try StagingDirectory(for: folder.path("out"), inputs: [])
    try staging.adopt("a", from: parts)
    #expect(throws: FileError(.missing, "")) { try staging.adopt("b", from: parts) }
    #expect(throws: FileError(.exists, "")) { try staging.adopt("a", from: parts) }
    try staging.commit()
    parts.discard()
    #expect(try Data(contentsOf: URL(filePath: folder.path("out/a"))) == Data([1, 2, 3]))
    #expect(try entries() == ["out"])
  }
}
