import ArgumentParser
import ByteIO
import LeanKFormat
import LeanKMask
import LeanKReport

/// `leank inspect`
struct InspectCommand: Subcommand {
  static let configuration = CommandConfiguration(
    commandName: "inspect",
    abstract: "Show what a mask does, in numbers and pictures.",
    discussion: """
      Takes a mask in any format that leank reads, a checkpoint that leank convert made, or a plain \
      Hugging Face checkpoint, of which it says what a mask could do.

      EXAMPLE
        leank inspect mask.leank
        leank inspect mask.leank --model Llama-3.1-8B --report page.html
        leank inspect mask.leank --layer 3 --head 5
        leank inspect ratios.leank --instance 2
      """)

  @Argument(help: "A mask, or the directory of a checkpoint.")
  var path: String

  @OptionGroup var instanceOptions: InstanceOptions

  @Option(
    help: "Checkpoint the mask is for: gives geometry, dtype and weight sizes (default: none).")
  var model: String?

  @Option(
    help:
      "Context in tokens at which the cache is measured; may be repeated (default: 4096, 32768 and 131072, up to the model's own)."
  )
  var context: [Int] = []

  @Option(help: "Show one layer, counted from 0, head by head (default: none).")
  var layer: Int?

  @Option(help: "With --layer: show one KV head, counted from 0 (default: all).")
  var head: Int?

  @Option(help: "Write a picture of layers by heads and by channels, an SVG file (default: none).")
  var heatmap: String?

  @Option(help: "Write a page with everything on it, one HTML file (default: none).")
  var report: String?

  @Flag(help: "Print every number as JSON; those of single channels with --layer.")
  var json = false

  func validate() throws {
    guard context.allSatisfy({ (1...ReportSubject.contextLimit).contains($0) }) else {
      throw ValidationError(
        "--context is a number of tokens from 1 to \(ReportSubject.contextLimit)")
    }
    guard head == nil || layer != nil else { throw ValidationError("--head needs --layer") }
    guard layer == nil || context.isEmpty else {
      throw ValidationError("--layer shows channels, --context a cache: give one of them")
    }
  }

  func run(on console: Console) throws -> CInt {
    for output in [heatmap, report].compactMap(\.self) {
      try checkOutputFile(output, replacing: true, inputs: inputs)
    }
    switch try InspectSource(path: path, model: model, instance: instanceOptions.chosen) {
    case .checkpoint(let checkpoint):
      guard layer == nil, heatmap == nil, report == nil, instanceOptions.instance == nil else {
        throw UsageError(
          "\(escaped(path, limit: 4096)) is a checkpoint without a mask: --layer, --heatmap, --report and "
            + "--instance need one")
      }
      let report = try CheckpointReport(checkpoint, contexts: context)
      if json { try console.print(json: report) } else { try console.print(report.text) }
    case .mask(let mask):
      try show(mask, on: console)
    }
    return LeankExit.success
  }

  private var inputs: [String] { [path, model].compactMap(\.self) }

  private func show(_ mask: InspectedMask, on console: Console) throws {
    mask.notes.forEach { console.warn($0) }
    let subject = ReportSubject(
      mask.document, title: path, contentID: mask.file?.contentID.hex,
      fileBytes: mask.file?.byteCount, facts: mask.facts, contexts: context)
    let part = try layer.map { layer in
      guard let text = HeadText(subject, layer: layer, head: head) else {
        let layers = subject.profile.layers
        throw UsageError(
          "--layer \(layer)\(head.map { " --head \($0)" } ?? ""): the mask has "
            + counted(layers.count, "layer")
            + (layers.indices.contains(layer)
              ? ", this one \(counted(layers[layer].counts.count, "KV head"))" : ""))
      }
      return text
    }
    if let heatmap { try write(HeatmapSVG(subject).text, to: heatmap) }
    if let report { try write(HTMLReport(subject).text, to: report) }
    if let layer, let part {
      if json {
        try console.print(json: ChannelReport(subject, layer: layer, head: head))
      } else {
        try console.print(part.lines.joined(separator: "\n"))
      }
    } else if json {
      try console.print(json: InspectReport(subject, of: mask))
    } else {
      var lines = SummaryText(subject, usesColor: console.usesColor).lines
      if let file = mask.file { lines += InstanceReport.lines(of: file, shown: mask.instance) }
      try console.print(lines.joined(separator: "\n"))
    }
  }

  private func write(_ text: String, to output: String) throws {
    try writeFileAtomically(
      Array(text.utf8).span, to: output, replacing: true, inputs: inputs)
  }
}
