public import ArgumentParser
import ByteIO
public import LeanKInterchange
import LeanKMask
import LeanKReport

extension MaskExporter.Part: ExpressibleByArgument {}

/// `leank export`
struct ExportCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "export",
    abstract: "Write a mask or its scores in another format.",
    discussion: """
      The suffix of --output chooses: .safetensors, .npy, .npz, .pth (LeanK's own runtime reads it), \
      .tsv or .json. What a format can hold comes back unchanged through leank import.

      EXAMPLE
        leank export mask.leank --output mask.pth
      """)

  @Argument(help: "The .leank file to read.")
  var source: String

  @Option(help: "The file to write.")
  var output: String

  @Option(
    help: "mask, scores or both (default: mask; both where the format and the file have both).")
  var what: MaskExporter.Part?

  @OptionGroup var instanceOptions: InstanceOptions

  @Flag(help: "Replace an existing output file.")
  var force = false

  func run(on console: Console) throws -> CInt {
    guard let format = InterchangeFormat(path: output) else {
      throw UsageError(
        "--output \(escaped(output, limit: 4096)): expected .safetensors, .npy, .npz, .pth, .tsv or .json"
      )
    }
    try checkOutputFile(output, replacing: force)
    let document = try MaskInput.read(source, instance: instanceOptions.chosen).document
    let part = what ?? (format.holdsBoth && document.scores != nil ? .both : .mask)
    let bytes = try MaskExporter.bytes(of: document, part, as: format)
    try writeFileAtomically(bytes.span, to: output, replacing: force)
    try console.print(
      "wrote \(escaped(output, limit: 4096)), \(Formatting.count(bytes.count)) bytes: "
        + (part == .both ? "mask and scores" : part.rawValue))
    return LeankExit.success
  }
}
