import ByteIO
import Foundation
import LeanKFormat
import LeanKMask
import LeanKReport

/// The files that masks of several ratios go to: one for all, or one each.
struct MaskFiles {
  let output: String
  let isSeparate: Bool
  let force: Bool

  /// The file of one ratio: `mask.leank` becomes `mask-0.7.leank`.
  private func path(of ratio: Double) -> String {
    guard isSeparate else { return output }
    let suffix = ".leank"
    let isNamed = output.hasSuffix(suffix)
    return (isNamed ? String(output.dropLast(suffix.count)) : output) + "-\(ratio)" + suffix
  }

  /// Fails where a file may not be written.
  func check(_ ratios: [Double], inputs: [String] = []) throws(FileError) {
    for path in Set(ratios.map(path)).sorted() {
      try checkOutputFile(path, replacing: force, inputs: inputs)
    }
  }

  /// Writes a document for each ratio; returns a line for each file.
  func write(_ ratios: [Double], _ documents: [MaskDocument]) throws -> [String] {
    try check(ratios)
    let files =
      isSeparate
      ? zip(ratios, documents).map { (path(of: $0), [$1]) } : [(output, documents)]
    return try files.map { path, documents in
      let encoded = try LeankFile.encode(instances: documents)
      try writeFileAtomically(encoded.bytes.span, to: path, replacing: force)
      let all = encoded.file.instances.map { MaskStatistics(of: $0.mask) }
      func percents(_ share: (MaskStatistics) -> Double) -> String {
        all.map { Formatting.percent(share($0)) }.joined(separator: ", ")
      }
      return "wrote \(escaped(path, limit: 4096)), \(Formatting.count(encoded.bytes.count)) bytes: "
        + (all.count > 1 ? "\(all.count) masks, " : "")
        + "pruned \(percents(\.prunedRatio)) of the channels, rows "
        + percents { 1 - $0.closureKeptRatio }
    }
  }
}
