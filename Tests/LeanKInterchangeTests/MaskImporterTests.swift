import ByteIO
import Foundation
import LeanKInterchange
import LeanKMask
import TensorFiles
import TestSupport
import Testing

struct MaskImporterTests {
  private static func read(
    _ fixture: String, geometry: [LayerGeometry]? = nil
  ) throws -> ImportedMask {
    let bytes = try Fixtures.bytes(fixture)
    let format = try #require(InterchangeFormat(path: fixture))
    return try MaskImporter.read(bytes.span, as: format, geometry: geometry)
  }

  private static func kept(_ mask: ChannelMask) -> [[[Int]]] {
    mask.layers.map { $0.heads.map(\.channels) }
  }

  /// A torch-saved float mask in the form of the published ones.
  @Test func lookalikeOfAPublishedMask() throws {
    let imported = try Self.read("Masks/lookalike.pth")
    let expected = try JSONDecoder().decode(
      [[[Int]]].self, from: Data(try Fixtures.bytes("Masks/lookalike.json")))
    let mask = try #require(imported.mask)
    #expect(Self.kept(mask) == expected)
    #expect(imported.scores == nil)
    #expect(imported.layers.count == 8)
    #expect(imported.layers.allSatisfy { $0.kvHeads == 4 && $0.headDim == 128 })
    let counts = Dictionary(grouping: mask.layers.flatMap(\.heads), by: \.count)
      .mapValues(\.count)
    #expect(counts == [0: 7, 32: 12, 64: 9, 96: 4])
    #expect(try mask.closed != mask)
  }

  @Test func onePthAndNpyOfOneMaskAgree() throws {
    let folder = "Masks/leank-tiny/windowed_mask_r0.7_align16"
    #expect(try Self.read(folder + ".pth") == Self.read(folder + ".npy"))
  }

  /// The same mask as numpy array inside a torch file, as LeanK's trainer saves it, and as .npz.
  @Test func trainersPickledArray() throws {
    let pickled = try Self.read("Tensors/numpy_bool.pth")
    let zipped = try Self.read("Tensors/stored.npz")
    #expect(pickled.mask != nil)
    #expect(pickled.mask == zipped.mask)
    #expect(try pickled.mask == Self.read("Tensors/numpy_protocol3.pth").mask)
    #expect(try pickled.mask == Self.read("Tensors/numpy_list.pth").mask)
    #expect(try pickled.mask == Self.read("Tensors/bool.pth").mask)
    #expect(try pickled.mask == Self.read("Tensors/layers.safetensors").mask)
    for name in ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"] {
      #expect(try pickled.mask == Self.read("Tensors/\(name).npy").mask, "\(name)")
    }
  }

  @Test func maskAndScoresTogether() throws {
    let stored = try Self.read("Tensors/stored.npz")
    #expect(stored.mask != nil)
    #expect(stored.scores?.scalar == .f16)
    #expect(stored.scores?.kind == ImportanceScores.alphaKind)
    #expect(try stored == Self.read("Tensors/deflated.npz"))
    let torch = try Self.read("Tensors/dict.pth")
    #expect(torch.mask == stored.mask)
    #expect(torch.scores?.scalar == .f32)
  }

  @Test func layersMayDiffer() throws {
    let ragged = try Self.read("Tensors/ragged.npz")
    #expect(ragged.layers.map(\.kvHeads) == [1, 2, 1])
    #expect(ragged.layers.map(\.headDim) == [4, 6, 8])
  }

  @Test func scoresKeepTheirBits() throws {
    #expect(try Self.read("Tensors/bfloat16.pth").scores?.scalar == .bf16)
    #expect(try Self.read("Tensors/half.pth").scores?.scalar == .f16)
    let single = try Self.read("Tensors/tensor.pth")
    #expect(single.scores?.scalar == .f32)
    #expect(single.notes.isEmpty)
    let exact = try Self.read("Tensors/double.pth")
    #expect(exact.scores == single.scores)
    #expect(exact.notes.isEmpty)
    let rounded = try Self.read("Tensors/numpy_double.pth")
    #expect(rounded.scores == single.scores)
    #expect(rounded.notes == ["24 of 24 scores were rounded to the nearest F32"])
    let signed = try Self.read("Tensors/float32.npy")
    #expect(signed.scores?.kind == "importance")
  }

  @Test func tablesNeedTheModel() throws {
    #expect(throws: InterchangeError(.needsModel, "")) { try Self.read("Tensors/alpha.tsv") }
    let layer = try LayerGeometry(
      kvHeads: 3, headDim: 4,
      attention: AttentionGeometry(
        queryHeads: 6, rotary: try RotaryGeometry(width: 4, pairing: .half)))
    let table = try Self.read("Tensors/alpha.tsv", geometry: [layer, layer])
    #expect(table.scores?.kind == ImportanceScores.alphaKind)
    #expect(table.layers == [layer, layer])
    #expect(try table.scores == Self.read("Tensors/tensor.pth").scores)
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read("Tensors/alpha.tsv", geometry: [layer])
    }
    let wide = try LayerGeometry(kvHeads: 2, headDim: 4)
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read("Tensors/alpha.tsv", geometry: [wide, wide])
    }
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read("Tensors/bool.npy", geometry: [wide, wide])
    }
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read("Tensors/bool.npy", geometry: [layer])
    }
    let adopted = try Self.read("Tensors/bool.npy", geometry: [layer, layer])
    #expect(adopted.mask?.knowsAttention == true)
  }

  @Test(
    arguments: [
      ("a.pth", InterchangeFormat.pth), ("a.PT", .pth), ("x/y.z.npz", .npz), ("m.npy", .npy),
      ("m.tsv", .tsv), ("m.json", .json), ("m.safetensors", .safetensors),
    ])
  func formatsByName(path: String, format: InterchangeFormat) {
    #expect(InterchangeFormat(path: path) == format)
  }

  @Test func otherNamesAreNoFormat() {
    #expect(InterchangeFormat(path: "mask") == nil)
    #expect(InterchangeFormat(path: "mask.bin") == nil)
  }

  // MARK: - Names

  private static let plane = TensorArray(scalar: .u8, shape: [1, 2], bytes: [0, 1])
  private static let cube = TensorArray(scalar: .u8, shape: [1, 1, 2], bytes: [0, 1])
  private static let half = TensorArray(scalar: .f16, shape: [1, 2], bytes: [0, 0x38, 0, 0])

  private static func read(_ tensors: [(String, TensorArray)]) throws -> ImportedMask {
    let file = try NpzWriter.bytes(of: tensors.map { NamedTensor(name: $0.0, array: $0.1) })
    return try MaskImporter.read(file.span, as: .npz)
  }

  @Test(
    arguments: [
      ["mask"], ["anything"], ["layers.0.mask"], ["layers.1.mask", "layers.0.mask"],
      ["model.layers.0.attn7.k", "model.layers.1.attn7.k", "model.layers.2.attn7.k"],
      ["m09", "m10", "m08", "m07", "m06", "m05", "m04", "m03", "m02", "m01", "m00"],
    ])
  func namesThatTell(names: [String]) throws {
    let isWhole = names == ["mask"] || names == ["anything"]
    let imported = try Self.read(names.map { ($0, isWhole ? Self.cube : Self.plane) })
    #expect(imported.mask?.layers.count == names.count)
    #expect(imported.mask?.layers.first?.heads.first?.channels == [1])
  }

  @Test func layersAreInNumericOrder() throws {
    let other = TensorArray(scalar: .u8, shape: [1, 2], bytes: [1, 1])
    let names = (0..<12).map { ("layer_\($0)", $0 == 10 ? other : Self.plane) }
    let mask = try #require(try Self.read(names.sorted { $0.0 < $1.0 }).mask)
    #expect(mask.layers.map(\.keptCount) == [1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 2, 1])
  }

  @Test(
    arguments: [
      ["mask", "other"], ["mask", "layers.0.mask"], ["a", "b"], ["a0", "a2"], ["a1", "a2"],
      ["a0b0", "a1b1"], ["a0", "a00"], ["a0", "a0b"], ["layers.00.mask", "x"],
      ["sublayers3", "sublayers5"], ["layers3x1", "layers3x3"],
      ["x.0.mask", "y.0.mask"], ["x1", "x"], ["a99999999999999999999", "a0"],
    ])
  func namesThatDoNotTell(names: [String]) {
    #expect(throws: InterchangeError(.names, "")) {
      try Self.read(names.map { ($0, Self.plane) })
    }
  }

  /// Numbers behind `layers.` are those of a model, of which some layers have no K cache of heads.
  @Test(
    arguments: [
      ["layers.3.mask", "layers.1.mask"],
      ["model.layers.1.self_attn.k", "model.layers.3.self_attn.k"],
      ["layer_1", "layer_3"], ["Layer1", "Layer3"],
    ])
  func layersOfAModel(names: [String]) throws {
    let imported = try Self.read(names.map { ($0, Self.plane) })
    let mask = try #require(imported.mask)
    #expect(mask.layers.map(\.geometry.kvHeads) == [0, 1, 0, 1])
    #expect(mask.layers[0].geometry == .withoutCache && mask.channels == 4)
    #expect(imported.notes.count == 1)

    // with a model: its layers, more without heads behind them, or those that have heads, counted alone
    let layer = try LayerGeometry(
      kvHeads: 1, headDim: 2,
      attention: AttentionGeometry(queryHeads: 2, rotary: RotaryGeometry(width: 2, pairing: .half)))
    let model: [LayerGeometry] = [.withoutCache, layer, .withoutCache, layer, .withoutCache]
    let file = try NpzWriter.bytes(of: names.map { NamedTensor(name: $0, array: Self.plane) })
    let adopted = try MaskImporter.read(file.span, as: .npz, geometry: model)
    #expect(adopted.layers == model && adopted.notes.isEmpty)
    #expect(adopted.mask?.layers.map(\.keptCount) == [0, 1, 0, 1, 0])
    #expect(try adopted.mask == mask.adopting(model))
    for other in [[layer, layer, layer, layer], [layer, .withoutCache, layer], [layer, layer]] {
      #expect(throws: InterchangeError(.geometry, "")) {
        try MaskImporter.read(file.span, as: .npz, geometry: other)
      }
    }
  }

  /// Arrays and names that count only the layers with a K cache of heads.
  @Test func attentionLayersOfAModel() throws {
    let layer = try LayerGeometry(
      kvHeads: 1, headDim: 2,
      attention: AttentionGeometry(queryHeads: 2, rotary: RotaryGeometry(width: 2, pairing: .half)))
    let model: [LayerGeometry] = [.withoutCache, layer, .withoutCache, layer]
    let cube = TensorArray(scalar: .u8, shape: [2, 1, 2], bytes: [1, 0, 1, 1])
    let npy = try NpyWriter.bytes(of: cube)
    let imported = try MaskImporter.read(npy.span, as: .npy, geometry: model)
    #expect(imported.layers == model)
    #expect(imported.mask?.layers.map { $0.heads.map(\.channels) } == [[], [[0]], [], [[0, 1]]])
    let table = Array("0.5\t1\n0\t0.25\n".utf8)
    let scores = try MaskImporter.read(table.span, as: .tsv, geometry: model)
    #expect(scores.layers == model && scores.scores?.values == [0.5, 1, 0, 0.25])
    let names = try NpzWriter.bytes(
      of: (0...1).map { NamedTensor(name: "layers.\($0).mask", array: Self.plane) })
    #expect(
      try MaskImporter.read(names.span, as: .npz, geometry: model).mask?.layers.map(\.keptCount)
        == [0, 1, 0, 1])
    let three = try NpyWriter.bytes(
      of: TensorArray(scalar: .u8, shape: [3, 1, 2], bytes: [1, 0, 1, 1, 0, 0]))
    #expect(throws: InterchangeError(.geometry, "")) {
      try MaskImporter.read(three.span, as: .npy, geometry: model)
    }
    // the mask's own layers may be counted so too
    let bare = try #require(try MaskImporter.read(npy.span, as: .npy).mask)
    #expect(try bare.adopting(model) == imported.mask)
  }

  @Test func layersWithNothingBetween() throws {
    let none = TensorArray(scalar: .u8, shape: [0, 0], bytes: [])
    let named = try Self.read([("layers.0.mask", Self.plane), ("layers.1.mask", none)])
    #expect(named.layers.map(\.hasCache) == [true, false] && named.notes.isEmpty)
    #expect(throws: InterchangeError(.shape, "")) { try Self.read([("layers.0.mask", none)]) }
    let far = "layers.4096.mask"
    #expect(throws: InterchangeError(.limit, "")) { try Self.read([(far, Self.plane)]) }
  }

  @Test func roleByNameHolds() throws {
    // All 0 and 1, but called scores.
    let scores = try Self.read([("scores", Self.cube)])
    #expect(scores.mask == nil)
    #expect(scores.scores?.values == [0, 1])
    #expect(throws: InterchangeError(.values, "")) {
      try Self.read([("layers.0.mask", Self.half)])
    }
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read([
        ("mask", Self.cube),
        ("scores", TensorArray(scalar: .u8, shape: [2, 1, 1], bytes: [0, 1])),
      ])
    }
  }

  @Test func layersOfDifferentScoreTypes() {
    let single = TensorArray(scalar: .f32, shape: [1, 2], bytes: [0, 0, 0, 0x3F, 0, 0, 0, 0])
    #expect(throws: InterchangeError(.elementType, "")) {
      try Self.read([("a0", Self.half), ("a1", single)])
    }
  }

  // MARK: - Values and shapes

  private static func npy(
    _ scalar: ScalarType, _ shape: [Int], _ bytes: [UInt8]
  ) throws -> ImportedMask {
    let file = try NpyWriter.bytes(of: TensorArray(scalar: scalar, shape: shape, bytes: bytes))
    return try MaskImporter.read(file.span, as: .npy)
  }

  @Test func valuesOfEveryKind() throws {
    #expect(try Self.npy(.f32, [1, 1, 2], [0, 0, 0x80, 0x3F, 0, 0, 0, 0x80]).mask?.keptCount == 1)
    #expect(try Self.npy(.f16, [1, 1, 2], [0, 0x3C, 0, 0x80]).mask?.keptCount == 1)
    let signed = try Self.npy(.i8, [1, 1, 2], [0xFF, 5])
    #expect(signed.scores?.values == [-1, 5])
    let wide = try Self.npy(.i64, [1, 1, 1], [1, 0, 0, 1, 0, 0, 0, 0x80])
    #expect(wide.scores?.values == [-0x1p63])
    #expect(wide.notes.count == 1)
    let unsigned = try Self.npy(.u64, [1, 1, 1], [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF])
    #expect(unsigned.scores?.values == [0x1p64])
    #expect(unsigned.notes.count == 1)
    #expect(throws: InterchangeError(.values, "")) { try Self.npy(.bool, [1, 1, 1], [2]) }
    let nan: [UInt8] = [0, 0, 0xC0, 0x7F]
    #expect(throws: InterchangeError(.values, "")) { try Self.npy(.f32, [1, 1, 1], nan) }
    let huge: [UInt8] = [0, 0, 0, 0, 0, 0, 0xE0, 0x7F]
    #expect(throws: InterchangeError(.values, "")) { try Self.npy(.f64, [1, 1, 1], huge) }
    let nan64: [UInt8] = [0, 0, 0, 0, 0, 0, 0xF8, 0x7F]
    #expect(throws: InterchangeError(.values, "")) { try Self.npy(.f64, [1, 1, 1], nan64) }
    let infinite: [UInt8] = [0, 0, 0x80, 0x7F]
    #expect(try Self.npy(.f32, [1, 1, 1], infinite).scores?.values == [.infinity])
  }

  /// A caller that needs a mask, or scores, is told before the other is built.
  @Test func filesWithoutWhatIsWanted() throws {
    let mask = try Fixtures.bytes("Masks/leank-tiny/windowed_mask_r0.7_align16.npy")
    #expect(try MaskImporter.read(mask.span, as: .npy, wanting: .mask).mask != nil)
    #expect(throws: InterchangeError(.wanted, "")) {
      try MaskImporter.read(mask.span, as: .npy, wanting: .scores)
    }
    let layers = #""layers": [{"kv_heads": 1, "head_dim": 1}]"#
    let values = #""scores": {"kind": "k", "dtype": "f32", "values": [[[7]]]}"#
    let json = Array(#"{"format": "leank-mask", "version": 1, \#(layers), \#(values)}"#.utf8)
    #expect(try MaskImporter.read(json.span, as: .json, wanting: .scores).scores?.values == [7])
    let error = #expect(throws: InterchangeError(.wanted, "")) {
      try MaskImporter.read(json.span, as: .json, wanting: .mask)
    }
    #expect(error?.failureClass == .unsupported)
    #expect(error?.detail.contains("leank mask") == true)
  }

  @Test func headersLongerThanAnyMaskNeeds() {
    var limits = TensorFileLimits.standard
    limits.safetensorsHeader = 10
    let file = SafetensorsHeader(layingOut: [("m", .u8, [1, 1, 1])], metadata: [:]).encoded + [1]
    let error = #expect(throws: InterchangeError.self) {
      try MaskImporter.read(file.span, as: .safetensors, limits: limits)
    }
    #expect(error?.failureClass == .limitExceeded)
  }

  @Test func namesThatHoldTheSameTwice() {
    let header = SafetensorsHeader(
      layingOut: [("mask", .u8, [1, 1, 1]), ("layers.0.mask", .u8, [1, 1])], metadata: [:])
    let file = header.encoded + [1, 1]
    let error = #expect(throws: InterchangeError(.names, "")) {
      try MaskImporter.read(file.span, as: .safetensors)
    }
    #expect(error?.detail.contains(#""mask" and "layers.0.mask""#) == true)
  }

  @Test func typesThatAreNoNumbers() {
    let header = SafetensorsHeader(
      layingOut: [("m", .f8e4m3, [1, 1, 1])], metadata: [:])
    let file = header.encoded + [0]
    #expect(throws: InterchangeError(.elementType, "")) {
      try MaskImporter.read(file.span, as: .safetensors)
    }
  }

  @Test(
    arguments: [
      ([1], InterchangeCode.shape), ([1, 1, 1, 1], .shape), ([2, 1], .needsModel), ([], .shape),
      ([0, 1, 1], .shape), ([1, 0, 1], .shape), ([1, 1, 0], .shape), ([5000, 1, 1], .limit),
      ([1, 5000, 1], .limit), ([1, 1, 5000], .limit), ([1 << 48, 0, 0], .limit),
    ])
  func shapesThatAreNoLayers(shape: [Int], code: InterchangeCode) {
    let bytes = [UInt8](repeating: 1, count: shape.reduce(1, *))
    #expect(throws: InterchangeError(code, "")) { try Self.npy(.u8, shape, bytes) }
  }

  @Test func limitsOfAllLayersTogether() throws {
    let many = (0...4096).map {
      NamedTensor(name: "a\($0)", array: TensorArray(scalar: .u8, shape: [1, 1], bytes: [1]))
    }
    let layers = try NpzWriter.bytes(of: many)
    #expect(throws: InterchangeError(.limit, "")) {
      try MaskImporter.read(layers.span, as: .npz)
    }
    var limits = TensorFileLimits.standard
    limits.elements = 3
    let two = try NpzWriter.bytes(of: [
      NamedTensor(name: "a0", array: Self.plane), NamedTensor(name: "a1", array: Self.plane),
    ])
    #expect(throws: InterchangeError(.limit, "")) {
      try MaskImporter.read(two.span, as: .npz, limits: limits)
    }
    let header = SafetensorsHeader(layingOut: [("m", .u8, [1, 1, 1])], metadata: [:])
    let file = header.encoded + [0]
    limits.arrayBytes = 0
    #expect(throws: InterchangeError(TensorFileError(.limit, ""))) {
      try MaskImporter.read(file.span, as: .safetensors, limits: limits)
    }
    let large = TensorArray(
      scalar: .u8, shape: [2, 4096, 4096], bytes: [UInt8](repeating: 0, count: 1 << 25))
    let scores = try NpzWriter.bytes(of: [NamedTensor(name: "scores", array: large)])
    #expect(throws: InterchangeError(.limit, "")) {
      try MaskImporter.read(scores.span, as: .npz)
    }
  }

  @Test func boolsMayBeScores() throws {
    let bools = TensorArray(scalar: .bool, shape: [1, 1, 2], bytes: [0, 1])
    #expect(try Self.read([("scores", bools)]).scores?.values == [0, 1])
  }

  @Test func layersOfAnotherRank() {
    #expect(throws: InterchangeError(.shape, "")) {
      try Self.read([("a0", Self.cube), ("a1", Self.cube)])
    }
  }

  @Test func filesWithoutTensors() throws {
    let file = SafetensorsHeader(layingOut: [], metadata: [:]).encoded
    #expect(throws: InterchangeError(.noTensor, "")) {
      try MaskImporter.read(file.span, as: .safetensors)
    }
  }

  @Test func misnamedSafetensorsIsNamed() {
    let pointer = Array("version https://git-lfs.github.com/spec/v1\noid sha256:0\n".utf8)
    #expect {
      try MaskImporter.read(pointer.span, as: .safetensors)
    } throws: { error in
      (error as? InterchangeError)?.detail.contains("Git LFS pointer") == true
    }
  }

  @Test func tensorFileErrorsKeepClassAndPlace() throws {
    let bytes: [UInt8] = Array("\u{93}NUMPY".utf8)
    do {
      _ = try MaskImporter.read(bytes.span, as: .npy)
      Issue.record("accepted")
    } catch {
      #expect(error.code.rawValue == "tensor_file.other_format")
      #expect(error.failureClass == .malformed)
      #expect(error.location == .byte(0))
    }
    let table = Array("0\tx\n".utf8)
    do {
      _ = try MaskImporter.read(table.span, as: .tsv)
      Issue.record("accepted")
    } catch {
      #expect(error.location == .line(1, column: 2))
    }
    let member = try NpzWriter.bytes(of: [
      NamedTensor(name: "a", array: Self.plane)
    ])
    var broken = member
    broken[130] ^= 1
    do {
      _ = try MaskImporter.read(broken.span, as: .npz)
      Issue.record("accepted")
    } catch {
      #expect(error.location == .key("a.npy"))
    }
  }
}
