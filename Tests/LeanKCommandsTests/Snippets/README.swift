import Foundation
import LeanKFormat
import LeanKMask

func summary(of path: String) throws -> String {
  let data = try Data(contentsOf: URL(filePath: path))
  let file = try LeankFile([UInt8](data), path: path)
  let statistics = MaskStatistics(of: file.document.mask)
  var lines = ["\(file.contentID.hex) \(statistics.prunedRatio) \(statistics.emptyHeads)"]
  for (index, layer) in file.document.mask.layers.enumerated() {
    lines.append("\(index) \(layer.heads.map(\.count)) \(layer.closure.map(\.count))")
  }
  return lines.joined(separator: "\n")
}
