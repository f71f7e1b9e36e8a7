import { Component, type ErrorInfo, type ReactNode } from "react";
import { TranslationContext } from "../i18n";

interface Props {
  children: ReactNode;
}

/** A fault in one view is told in words instead of taking the whole page away. */
export class Boundary extends Component<Props, { fault: string | null }> {
  static override contextType = TranslationContext;
  declare context: React.ContextType<typeof TranslationContext>;
  override state = { fault: null };

  static getDerivedStateFromError(error: unknown): { fault: string } {
    return { fault: error instanceof Error ? error.message : String(error) };
  }

  override componentDidCatch(error: unknown, info: ErrorInfo): void {
    console.error(error, info.componentStack);
  }

  override render(): ReactNode {
    if (this.state.fault === null) return this.props.children;
    const { t } = this.context;
    return (
      <div className="page empty" role="alert">
        <h2>{t("fault")}</h2>
        <p>{this.state.fault}</p>
        <button type="button" className="main" onClick={() => location.reload()}>
          {t("reload")}
        </button>
      </div>
    );
  }
}
