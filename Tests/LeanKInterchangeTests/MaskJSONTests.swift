import ByteIO
import LeanKInterchange
import LeanKMask
import Testing

/// leank's own JSON form, by hand.
struct MaskJSONTests {
  private static func read(
    _ text: String, geometry: [LayerGeometry]? = nil
  ) throws -> ImportedMask {
    let bytes = Array(text.utf8)
    return try MaskImporter.read(bytes.span, as: .json, geometry: geometry)
  }

  private static func document(
    layers: String = #"[{"kv_heads": 2, "head_dim": 4}]"#, rest: String = #""mask": [[[0, 2], []]]"#
  ) -> String {
    #"{"format": "leank-mask", "version": 1, "layers": \#(layers), \#(rest)}"#
  }

  @Test func theDocumentedExample() throws {
    let imported = try Self.read(
      """
      {"format": "leank-mask", "version": 1,
       "layers": [{"kv_heads": 2, "head_dim": 4, "query_heads": 4, "rotary_width": 4,
                   "pairing": "half"}],
       "mask": [[[0, 2], [1]]],
       "scores": {"kind": "leank.alpha", "dtype": "f32", "values": [[[1, 0.25, 0.5, 0], [0, 1, 0, 0]]]}}
      """)
    #expect(imported.mask?.layers[0].heads.map(\.channels) == [[0, 2], [1]])
    #expect(imported.scores?.values == [1, 0.25, 0.5, 0, 0, 1, 0, 0])
    #expect(imported.layers[0].attention?.queryHeads == 4)
    let model = [try LayerGeometry(kvHeads: 2, headDim: 4)]
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read(Self.document(), geometry: model + model)
    }
    let other = [try LayerGeometry(kvHeads: 2, headDim: 6)]
    #expect(throws: InterchangeError(.geometry, "")) {
      try Self.read(Self.document(), geometry: other)
    }
    #expect(try Self.read(Self.document(), geometry: model).layers == model)
  }

  /// As large as an 8-billion-parameter model's: lists of channels are denser than other JSON.
  @Test func everyOtherChannelOfALargeModel() throws {
    let geometry = try LayerGeometry(kvHeads: 8, headDim: 128)
    let head = ChannelSet(width: 128, channels: stride(from: 0, to: 128, by: 2))
    let layer = try LayerMask(geometry: geometry, heads: Array(repeating: head, count: 8))
    let mask = try ChannelMask(layers: Array(repeating: layer, count: 32))
    let file = try MaskExporter.bytes(of: MaskDocument(mask: mask), .mask, as: .json)
    #expect(try MaskImporter.read(file.span, as: .json).mask == mask)
  }

  @Test(
    arguments: [
      "", "[]", "{}", "{\"format\": \"leank-mask\"}",
      #"{"format": "other", "version": 1, "layers": [{"kv_heads": 1, "head_dim": 1}], "mask": [[[]]]}"#,
      #"{"format": "leank-mask", "version": 2, "layers": [{"kv_heads": 1, "head_dim": 1}], "mask": [[[]]]}"#,
      document(layers: "[]"), document(layers: "{}"), document(layers: "[1]"),
      document(layers: #"[{"kv_heads": 0, "head_dim": 0}]"#, rest: #""mask": [[]]"#),
      document(layers: #"[{"kv_heads": 0, "head_dim": 4}, {"kv_heads": 2, "head_dim": 4}]"#),
      document(layers: #"[{"kv_heads": 2, "head_dim": 4, "value_dim": 4}]"#),
      document(
        layers:
          #"[{"kv_heads": 2, "head_dim": 4, "value_dim": 0, "query_heads": 4, "rotary_width": 4, "pairing": "half"}]"#
      ),
      document(layers: #"[{"kv_heads": 2}]"#),
      document(layers: #"[{"kv_heads": 0, "head_dim": 4}]"#),
      document(layers: #"[{"kv_heads": 2.0, "head_dim": 4}]"#),
      document(layers: #"[{"kv_heads": 2, "head_dim": 4, "x": 1}]"#),
      document(layers: #"[{"kv_heads": 2, "head_dim": 4, "query_heads": 4}]"#),
      document(
        layers:
          #"[{"kv_heads": 2, "head_dim": 4, "query_heads": 3, "rotary_width": 4, "pairing": "half"}]"#
      ),
      document(
        layers:
          #"[{"kv_heads": 2, "head_dim": 4, "query_heads": 4, "rotary_width": 3, "pairing": "half"}]"#
      ),
      document(rest: #""mask": []"#), document(rest: #""mask": [[[]]]"#),
      document(rest: #""mask": [[[], 1]]"#), document(rest: #""mask": [[[], [4]]]"#),
      document(rest: #""mask": [[[], [-1]]]"#), document(rest: #""mask": [[[], [1, 1]]]"#),
      document(rest: #""mask": [[[], [2, 1]]]"#), document(rest: #""mask": [[[], [1.0]]]"#),
      document(rest: #""mask": [[[], []]], "more": 1"#),
      document(rest: #""scores": 1"#),
      document(
        rest: #""scores": {"kind": "k", "dtype": "f64", "values": [[[0,0,0,0],[0,0,0,0]]]}"#),
      document(rest: #""scores": {"kind": "k", "dtype": "f32", "values": []}"#),
      document(rest: #""scores": {"kind": "k", "dtype": "f32", "values": [[]]}"#),
      document(rest: #""scores": {"kind": "k", "dtype": "f32", "values": [[[0,0,0,0],[0]]]}"#),
      document(
        rest: #""scores": {"kind": "k", "dtype": "f32", "values": [[[0,0,0,0],[0,0,0,true]]]}"#),
      document(
        rest: #""scores": {"kind": "k", "dtype": "f32", "values": [[[0,0,0,0],[0,0,0,1e39]]]}"#),
      document(
        rest: #""scores": {"kind": "k", "dtype": "f16", "values": [[[0,0,0,0],[0,0,0,0.1]]]}"#),
      document(
        rest: #""scores": {"kind": "k", "dtype": "f16", "values": [[[0,0,0,0],[0,0,0,65520]]]}"#),
      document(
        rest: #""scores": {"kind": "k", "dtype": "bf16", "values": [[[0,0,0,0],[0,0,0,0.1]]]}"#),
    ])
  func malformed(text: String) {
    #expect(throws: InterchangeError(.json, "")) { try Self.read(text) }
  }

  @Test func otherRefusals() {
    #expect(throws: InterchangeError(.noTensor, "")) {
      try Self.read(
        #"{"format": "leank-mask", "version": 1, "layers": [{"kv_heads": 1, "head_dim": 1}]}"#)
    }
    #expect(throws: InterchangeError(.values, "")) {
      try Self.read(
        Self.document(
          rest: #""scores": {"kind": "", "dtype": "f32", "values": [[[0,0,0,0],[0,0,0,0]]]}"#))
    }
    #expect(throws: InterchangeError(.limit, "")) {
      try Self.read(Self.document(layers: #"[{"kv_heads": 5000, "head_dim": 4}]"#))
    }
    #expect(throws: InterchangeError(.limit, "")) {
      try Self.read("[" + String(repeating: "0,", count: 300_000) + "0]")
    }
    // the JSON reader's own limits keep their class and place
    let run = String(repeating: "\u{301}", count: 31)
    let error = #expect(throws: InterchangeError.self) { try Self.read(#"{"a\#(run)": 1}"#) }
    #expect(error?.failureClass == .limitExceeded && error?.location == .byte(1))
    let layer = #"{"kv_heads": 1, "head_dim": 1}"#
    let many = [String](repeating: layer, count: 5000).joined(separator: ",")
    #expect(throws: InterchangeError(.limit, "")) {
      try Self.read(Self.document(layers: "[\(many)]"))
    }
    let large = [String](
      repeating: #"{"kv_heads": 4096, "head_dim": 4096}"#, count: 17
    ).joined(separator: ",")
    #expect(throws: InterchangeError(.limit, "")) {
      try Self.read(Self.document(layers: "[\(large)]"))
    }
  }
}
