import LeanKFormat
import LeanKMask

func dropLayer(_ index: Int, in bytes: [UInt8]) throws -> [UInt8] {
  var document = try LeankFile(bytes).document
  var layers = document.mask.layers
  let geometry = layers[index].geometry
  layers[index] = try LayerMask(
    geometry: geometry,
    heads: Array(repeating: ChannelSet(width: geometry.headDim), count: geometry.kvHeads))
  document.mask = try ChannelMask(layers: layers)
  document.alignment = nil
  return try LeankFile.encode(document).bytes
}
