// A function that does nothing: what Node itself takes.

export const handler = async (event) => event;
