/** The interface of Standard Schema, https://standardschema.dev, and the check that a value has it. */
import { show } from "../common/show.ts";

/**
 * A schema of any library that implements [Standard Schema](https://standardschema.dev), version 1: zod from 3.24 on,
 * valibot from 1 on, arktype from 2 on, and many others. Only the property `~standard` is used, so SpaceNode depends on
 * none of them.
 *
 * `Input` is the type of the values that the schema takes, and `Output` the type of the values that it makes of them.
 * They differ if the schema transforms its values or has defaults.
 *
 * @example
 * ```ts
 * import { createApp, type StandardSchema } from "@spacenode/spacenode";
 *
 * // A schema without a library.
 * const count: StandardSchema<number> = {
 *   "~standard": {
 *     version: 1,
 *     vendor: "mysite",
 *     validate: (value) =>
 *       typeof value === "number" ? { value } : { issues: [{ message: "A number is expected" }] },
 *   },
 * };
 *
 * const app = await createApp();
 * app.ws("/double", { message: count }, (socket) => {
 *   socket.on("message", (number) => socket.send(String(number * 2)));
 * });
 * ```
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What Standard Schema asks of a schema. */
  readonly "~standard": {
    /** The version of the interface. */
    readonly version: 1;
    /** The name of the library. */
    readonly vendor: string;
    /** The types of the schema, which exist for the compiler only. */
    readonly types?: { readonly input: Input; readonly output: Output } | undefined;
    /** Decides whether a value fits, at once or with a promise. */
    readonly validate: (value: unknown) => StandardResult<Output> | Promise<StandardResult<Output>>;
  };
}

/** The decision of a {@link StandardSchema}: the value that it has made, or the reasons why the input does not fit. */
export type StandardResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly StandardIssue[] };

/** One reason why a message does not fit. */
export interface StandardIssue {
  /** The reason in words. A schema may repeat a part of the message in it. */
  readonly message: string;
  /** The way to the part of the message that does not fit, from the outside in. Undefined for the whole message. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
}

/** The function of a schema that decides whether a value fits. */
export type Validate = (value: unknown) => StandardResult<unknown> | PromiseLike<StandardResult<unknown>>;

/**
 * Gives the function that validates by a schema.
 *
 * @param name names the option in the error message
 * @throws TypeError for a value that is no Standard Schema of version 1
 */
export function validateBy(name: string, schema: unknown): Validate {
  // The schemas of arktype are functions.
  const isSchema = (typeof schema === "object" && schema !== null) || typeof schema === "function";
  const standard = isSchema ? (schema as Partial<StandardSchema>)["~standard"] : undefined;
  if (typeof standard?.validate === "function" && standard.version === 1) {
    return (value) => standard.validate(value);
  }
  const version = standard === undefined ? "" : ` with version ${show(standard.version)} of ~standard`;
  throw new TypeError(
    `${name} must be a Standard Schema of version 1, such as one of zod 4, valibot 1 or arktype 2; ` +
      `got ${show(schema)}${version}`,
  );
}
