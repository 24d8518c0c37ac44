import Foundation
import LeanKCommands
import LeanKFormat
import LeanKMask
import StrictJSON
import TensorFiles
import TestSupport
import Testing

/// A finished run of the `leank` command line, in this process.
struct CommandRun {
  let code: CInt
  let output: String
  let diagnostics: String

  init(_ arguments: [String]) {
    let console = Console.captured()
    code = runLeank(arguments, on: console)
    output = console.capturedOutput
    diagnostics = console.capturedDiagnostics
  }

  /// The JSON on standard output.
  var json: JSONValue {
    get throws { try JSONDocument(Array(output.utf8)).root }
  }
}

/// Runs `leank` with `arguments`.
func leank(_ arguments: String...) -> CommandRun { CommandRun(arguments) }

/// Runs `leank` and requires the exit code `code`.
@discardableResult
func leank(
  expecting code: CInt, _ arguments: [String], sourceLocation: SourceLocation = #_sourceLocation
) throws -> CommandRun {
  let run = CommandRun(arguments)
  try #require(
    run.code == code, "leank \(arguments.joined(separator: " ")): \(run.diagnostics)\(run.output)",
    sourceLocation: sourceLocation)
  return run
}

/// The built command, which lies beside the tests.
var builtCommand: URL {
  let bundle = Bundle.allBundles.first { $0.bundlePath.hasSuffix(".xctest") }
  let tests = bundle?.bundleURL ?? URL(filePath: CommandLine.arguments[0])
  return tests.resolvingSymlinksInPath().deletingLastPathComponent().appending(path: "leank")
}

/// Runs a line of shell in which `leank` stands for the built command; its exit code and standard
/// error.
func shell(_ line: String) throws -> (code: CInt, diagnostics: String) {
  let process = Process()
  process.executableURL = URL(filePath: "/bin/sh")
  process.arguments = ["-c", "leank() { \"$LEANK\" \"$@\"; }\n" + line]
  process.environment = ProcessInfo.processInfo.environment.merging(
    ["LEANK": builtCommand.path, "SWIFT_BACKTRACE": "enable=no"]) { $1 }
  let errors = Pipe()
  process.standardOutput = FileHandle.nullDevice
  process.standardError = errors
  try process.run()
  let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
  process.waitUntilExit()
  return (
    process.terminationReason == .exit
      ? process.terminationStatus : 128 + process.terminationStatus,
    text
  )
}

/// A reference model copied to where `leank` can take it for a checkpoint: without the masks and
/// references beside it, with the configuration of either dialect.
func copyModel(
  _ name: String, to directory: TemporaryDirectory, as copy: String = "dense",
  configuration: String = "config.json"
) throws -> String {
  let source = Fixtures.path("Reference/" + name)
  let manager = FileManager.default
  try manager.createDirectory(atPath: directory.path(copy), withIntermediateDirectories: true)
  for file in try manager.contentsOfDirectory(atPath: source)
  where file.hasPrefix("model") || file == "generation_config.json" {
    try manager.copyItem(atPath: source + "/" + file, toPath: directory.path(copy + "/" + file))
  }
  try manager.copyItem(
    atPath: source + "/" + configuration, toPath: directory.path(copy + "/config.json"))
  return directory.path(copy)
}

/// Whether a safetensors file has a tensor of that name.
func hasTensor(_ name: String, in path: String) throws -> Bool {
  try SafetensorsFile(path: path)[name] != nil
}

/// The f32 elements of a tensor in a safetensors file.
func floats(_ name: String, in path: String) throws -> [Float] {
  let file = try SafetensorsFile(path: path)
  let tensor = try #require(file[name], "\(name) in \(path)")
  try #require(tensor.scalar == .f32)
  let bytes = try file.array(tensor).bytes
  return stride(from: 0, to: bytes.count, by: 4).map { offset in
    Float(
      bitPattern: (0..<4).reduce(UInt32(0)) { $0 | UInt32(bytes[offset + $1]) << ($1 * 8) })
  }
}

/// The elements of an integer tensor in a safetensors file.
func integers(_ name: String, in path: String) throws -> [Int?] {
  let file = try SafetensorsFile(path: path)
  let tensor = try #require(file[name], "\(name) in \(path)")
  return try #require(try file.array(tensor).integers)
}

/// Largest difference of two arrays; infinite where one is not a number or their sizes differ.
func largestDifference(_ left: [Float], _ right: [Float]) -> Float {
  guard left.count == right.count else { return .infinity }
  var largest: Float = 0
  for (a, b) in zip(left, right) {
    let difference = abs(a - b)
    if difference.isNaN { return .infinity }
    largest = max(largest, difference)
  }
  return largest
}

/// Names of the tensors in a safetensors file.
func tensorNames(in path: String) throws -> [String] {
  try SafetensorsFile(path: path).header.tensors.map(\.name)
}

/// The `.leank` file at a path.
enum MaskFile {
  static func document(_ path: String) throws -> MaskDocument {
    try LeankFile([UInt8](try Data(contentsOf: URL(filePath: path)))).document
  }
}
