import Foundation
import TestSupport
import Testing

@testable import ByteIO

/// System calls that fail on files which are open already.
struct SystemFailureTests {
  /// Far above what a process may open, so that no other test gets it.
  private static let unopened = CInt.max

  private func failure<Value>(_ body: () throws -> Value) -> FileError? {
    do {
      _ = try body()
      return nil
    } catch {
      return error as? FileError
    }
  }

  private func expect(_ error: FileError?, _ code: FileCode, _ call: String) {
    #expect(error?.code == code)
    #expect(error?.detail.hasPrefix(call) == true, "\(error?.detail ?? "no error")")
  }

  @Test func statusOfADescriptorThatIsNotOpen() throws {
    expect(failure { try fileStatus(of: Self.unopened, "x") }, .systemCall, "fstat: ")
    expect(
      failure { try PositionalFile(descriptor: Self.unopened, path: "x") }, .systemCall, "fstat: ")
    expect(
      failure { try DirectoryHandle(descriptor: Self.unopened, path: "x") }, .systemCall, "fstat: ")
  }

  @Test func readFails() throws {
    let directory = try TemporaryDirectory()
    let file = try PositionalFile(path: try directory.write([1, 2, 3], to: "file"))
    // the system refuses a negative place
    expect(failure { try file.bytes(at: -1, count: 1) }, .systemCall, "read: ")
  }

  @Test func listingFails() throws {
    let directory = try TemporaryDirectory()
    let path = try directory.write([], to: "file")
    let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
    let handle = try DirectoryHandle(descriptor: descriptor, path: path)
    expect(failure { try handle.names() }, .systemCall, "opendir: ")
  }

  @Test func statusOfANameFails() throws {
    let directory = try TemporaryDirectory()
    let handle = try DirectoryHandle(path: directory.path)
    let name = String(repeating: "n", count: 300)
    expect(failure { try handle.kind(of: name) }, .systemCall, "stat: ")
    #expect(try handle.kind(of: "absent") == nil)
  }

  @Test func streamIsReadToItsEnd() throws {
    let pipe = Pipe()
    let bytes = [UInt8](repeating: 7, count: 1000)
    try pipe.fileHandleForWriting.write(contentsOf: Data(bytes))
    try pipe.fileHandleForWriting.close()
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    #expect(try readStream(descriptor, path: "-", limit: 1000) == bytes)
  }

  @Test func streamPastTheLimitIsRefused() throws {
    let pipe = Pipe()
    try pipe.fileHandleForWriting.write(contentsOf: Data(count: 1001))
    try pipe.fileHandleForWriting.close()
    let descriptor = pipe.fileHandleForReading.fileDescriptor
    let error = failure { try readStream(descriptor, path: "-", limit: 1000) }
    expect(error, .tooLarge, "more than 1000 bytes")
  }

  @Test func streamThatCannotBeReadIsAnError() {
    let error = failure { try readStream(Self.unopened, path: "-", limit: 1000) }
    expect(error, .systemCall, "read: ")
  }
}
