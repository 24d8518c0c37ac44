import ByteIO
import Foundation
import TestSupport
import Testing

@Suite("Files")
struct FileTests {
  private func failure<Value>(_ body: () throws(FileError) -> Value) -> FileError? {
    do throws(FileError) {
      _ = try body()
      return nil
    } catch {
      return error
    }
  }

  @Test("bytes are read at any place")
  func reading() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(Array(0..<100), to: "file")
    let file = try PositionalFile(path: path)
    #expect(file.size == 100)
    #expect(try file.bytes(at: 10, count: 3) == [10, 11, 12])
    #expect(try file.contents(limit: 100) == Array(0..<100))
    #expect(failure { () throws(FileError) in try file.contents(limit: 99) }?.code == .tooLarge)
  }

  @Test("a file that shrinks or changes is noticed")
  func changing() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write(Array(0..<100), to: "file")
    let file = try PositionalFile(path: path)
    try file.checkUnchanged()
    try directory.write(Array(0..<50), to: "other")
    let handle = try #require(FileHandle(forWritingAtPath: path))
    try handle.truncate(atOffset: 50)
    #expect(
      failure { () throws(FileError) in try file.bytes(at: 0, count: 100) }?.failureClass
        == .inputChanged)
    #expect(failure { () throws(FileError) in try file.checkUnchanged() }?.code == .changed)
  }

  @Test("only regular files are opened, without waiting for them")
  func kinds() throws {
    let directory = try TemporaryDirectory()
    let fifo = directory.path("fifo")
    #expect(unsafe mkfifo(fifo, 0o600) == 0)
    let code = { (path: String) in
      failure { () throws(FileError) in try PositionalFile(path: path) }?.code
    }
    #expect(code(fifo) == .notRegular)
    #expect(code("/dev/null") == .notRegular)
    #expect(code(directory.path) == .notRegular)
    #expect(code(directory.path("absent")) == .missing)
    try FileManager.default.createSymbolicLink(
      atPath: directory.path("loop"), withDestinationPath: directory.path("loop"))
    #expect(code(directory.path("loop")) == .linkLoop)
  }

  @Test(
    "names that lead elsewhere are refused",
    arguments: ["", ".", "..", "a/b", "/etc/passwd", "a\\b", "a\u{0}b", "a\nb"])
  func names(name: String) throws {
    let temporary = try TemporaryDirectory()
    let directory = try DirectoryHandle(path: temporary.path)
    #expect(
      failure { () throws(FileError) in try PositionalFile(name: name, in: directory) }?.code
        == .fileName)
  }

  @Test("entries come in byte order")
  func listing() throws {
    let directory = try TemporaryDirectory()
    for name in ["b", "a", "é", "B"] { try directory.write([], to: name) }
    let handle = try DirectoryHandle(path: directory.path)
    #expect(try handle.names() == ["B", "a", "b", "é"])
    #expect(try handle.kind(of: "a") == .regular)
    #expect(try handle.kind(of: "absent") == nil)
  }

  @Test("an atomic write is whole, refuses to overwrite, and leaves nothing else behind")
  func atomicWrite() throws {
    let directory = try TemporaryDirectory()
    let path = directory.path("out")
    try writeFileAtomically([1, 2, 3].span, to: path)
    let refused = failure { () throws(FileError) in
      try writeFileAtomically([4].span, to: path)
    }
    #expect(refused?.failureClass == .unsafeOutput)
    #expect(try readFile(path, limit: 10) == [1, 2, 3])
    try writeFileAtomically([4].span, to: path, replacing: true)
    #expect(try readFile(path, limit: 10) == [4])
    #expect(try DirectoryHandle(path: directory.path).names() == ["out"])
    let lost = failure { () throws(FileError) in
      try writeFileAtomically([4].span, to: directory.path("absent/out"))
    }
    #expect(lost?.failureClass == .inputOutput)
  }
}
