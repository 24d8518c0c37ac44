import Foundation
import LeanKCheckpoint
import LeanKMask
import LeanKModel
import LeanKPruning
import StrictJSON
import TestSupport

extension Reference {
  /// Shape and CRC-32 of the tensors that a layout changes, as numpy makes them; nil where it is
  /// refused.
  func expected(_ layout: PruningLayout) throws -> [String: (shape: [Int], checksum: UInt32)]? {
    let document = try JSONDocument(try Fixtures.bytes("Reference/pruned.json"))
    guard let tensors = document.root[name]?[layout.rawValue], !tensors.isNull else { return nil }
    var result: [String: (shape: [Int], checksum: UInt32)] = [:]
    for (name, entry) in tensors.children {
      let parts = entry.children.map(\.value)
      result[name] = (
        parts[0].children.compactMap(\.value.integer), UInt32(parts[1].integer ?? -1)
      )
    }
    return result
  }
}

extension Conversion {
  /// A conversion of the checkpoint at `dense` with a stand-in for the mask's file.
  static func make(
    _ dense: String, _ mask: ChannelMask, _ layout: PruningLayout, to output: String
  ) throws -> Conversion {
    let source = try CheckpointDirectory(path: dense)
    let plan = try PruningPlan(source: source, mask: mask, layout: layout)
    return Conversion(
      source: source, plan: plan, output: output, mask: Array("mask".utf8),
      maskContentID: testContentID, deployment: .static)
  }
}

/// CRC-32 as zlib computes it.
func checksum(_ bytes: [UInt8]) -> UInt32 {
  var crc: UInt32 = 0xFFFF_FFFF
  for byte in bytes {
    crc ^= UInt32(byte)
    for _ in 0..<8 { crc = crc >> 1 ^ (crc & 1 == 1 ? 0xEDB8_8320 : 0) }
  }
  return ~crc
}
